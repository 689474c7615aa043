"""imeiset where the data already is: one module for each library, imported only when it is used."""

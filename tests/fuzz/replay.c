/* Gives a harness the files that are named, one after another: for compilers without libFuzzer. */
#include "fuzz.h"

#undef malloc
#undef free

int main(int count, char **names) {
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(names[i], "rb");
        if (!file || fseek(file, 0, SEEK_END)) {
            perror(names[i]);
            return 2;
        }
        size_t size = (size_t)ftell(file);
        uint8_t *data = malloc(size + 1);
        rewind(file);
        if (!data || fread(data, 1, size, file) != size) {
            perror(names[i]);
            return 2;
        }
        fclose(file);
        data = realloc(data, size + (size == 0)); /* no byte beyond */
        fprintf(stderr, "%s\n", names[i]); /* the last one named is the one that stops it */
        LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
    return 0;
}

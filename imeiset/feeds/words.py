"""What words, codes and titles of lists mean, in the languages in which lists are written: one table.

A word is compared without case, accents, blanks and punctuation: 'Black-Listed' is 'blacklisted', 'BLOQUÉ' is
'bloque'.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal

Meaning = Literal["blocks", "clears", "grey", "adds", "removes", "updates"]

# In turn English, Spanish, French, German, Portuguese, Italian and Turkish, without accents.
_WORDS: dict[Meaning, str] = {
    "blocks": """
        black blacklist blacklisted blacklisting block blocked blocking blocklist blocklisted denylist
        denylisted
        stolen theft lost barred banned ban deny denied forbidden prohibited
        negro negra listanegra bloqueado bloqueada bloquear bloqueo robado robada robo hurto hurtado perdido
        perdida extraviado extraviada denegado denegada prohibido
        noir noire listenoire bloque bloquee bloquer vole volee perdu perdue interdit interdite
        schwarz schwarzeliste sperrliste gesperrt sperren blockiert gestohlen verloren verboten
        preto preta listapreta roubado roubada roubo furtado furto negado proibido
        nero nera listanera bloccato bloccata bloccare rubato rubata smarrito smarrita vietato negato
        siyah siyahliste kara karaliste engelli engellendi engellenmis bloke bloklu calinti calindi kayip
        yasakli
    """,
    "clears": """
        white whitelist whitelisted whitelisting allow allowed allowlist allowlisted clear cleared clean
        unblock unblocked unblocking deblocked unbar unbarred delist delisted recovered recovery found
        released reinstated permit permitted authorised authorized
        blanco blanca listablanca permitido permitida autorizado autorizada desbloqueado desbloqueada
        desbloquear
        desbloqueo recuperado recuperada encontrado encontrada liberado liberada libre
        blanc blanche listeblanche permis autorise autorisee debloque debloquee debloquer retrouve retrouvee
        recupere recuperee
        weiss weisse weisseliste erlaubt entsperrt entsperren freigegeben frei gefunden wiedergefunden
        zugelassen
        branco branca listabranca livre
        bianco bianca listabianca sbloccato sbloccata sbloccare consentito autorizzato ritrovato ritrovata
        recuperato recuperata
        beyaz beyazliste izinli serbest bulundu engelikaldirildi engelkaldirildi
    """,
    "grey": """
        grey gray greylist graylist greylisted graylisted
        gris listagris grise listegrise grau graueliste cinza cinzento listacinza grigio grigia
        listagrigia gri
        griliste
    """,
    "adds": """
        add added adding addition insert inserted insertion new create created
        agregar agregado anadir anadido nuevo ajout ajoute ajoutee ajouter nouveau
        neu hinzufugen hinzugefugt adicionar adicionado incluir incluido inclusao novo
        aggiungere aggiunto aggiunta nuovo ekle ekleme eklendi yeni
    """,
    "removes": """
        remove removed removing removal delete deleted deleting deletion withdraw withdrawn withdrawal
        eliminar eliminado eliminada borrar borrado borrada quitar retirado retirada
        supprimer supprime supprimee suppression retire retiree retirer
        loschen geloscht entfernen entfernt remover removido removida excluir excluido exclusao
        rimuovere rimosso rimossa rimozione eliminare eliminato cancellato
        sil silme silindi kaldir kaldirildi cikar cikarildi
    """,
    "updates": """
        update updated updating change changed modify modified modification
        actualizar actualizado modificar modificado miseajour modifier modifie modifiee
        andern geandert aktualisiert atualizar atualizado alterar alterado
        aggiornare aggiornato modificare modificato guncelle guncellendi
    """,
}


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_MEANINGS: dict[str, Meaning] = {word: meaning for meaning, words in _WORDS.items() for word in words.split()}

# These say something under a title of statuses or changes, and elsewhere nothing: a country, a priority.
_OVER = "expired lifted revoked cancelled canceled ended vencido caducado expire abgelaufen scaduto"
_TITLED: dict[Meaning, str] = {
    "blocks": "bl",
    "clears": f"wl free {_OVER}",
    "grey": "gl",
    "adds": "alta ins",
    "removes": "baja del",
    "updates": "upd",
}
_UNDER_TITLE: dict[str, Meaning] = {word: name for name, words in _TITLED.items() for word in words.split()}

YES = _set("1 yes y true t si s oui o ja j sim evet e")
NO = _set("0 no n false f non nein nao hayir h")
_STATES = """
    2 b w g m c bl wl gl ok nok alta baja active inactive enabled disabled valid invalid pending approved
    rejected
    activo inactivo actif inactif aktiv inaktiv ativo inativo attivo inattivo aktif pasif
"""
CHANGE_CODES = _set("a d u i r + - ins del upd")
CODES = YES | NO | CHANGE_CODES | _set(_STATES)
"""What says something only together with the other values of its column."""

ABSENT = frozenset(
    ("", "n/a", "na", "#n/a", "null", "nil", "nan", "none", "-", "--", ".", "?", "unknown", "0")
)
"""What a cell without a value holds."""

_COLOURS = _set(
    """
    blue red green gold golden silver pink purple yellow orange rose violet brown bronze beige azul rojo
    verde dorado plata plateado bleu rouge vert jaune blau rot grun gelb silber vermelho amarelo prata blu
    rosso giallo mavi kirmizi yesil sari altin gumus graphite midnight titanium coral lavender
    """
)
_PLAIN_COLOURS = _set(
    """
    black white grey gray negro negra blanco blanca gris noir noire blanc blanche grise schwarz weiss grau
    preto preta branco branca cinza cinzento nero nera bianco bianca grigio grigia siyah beyaz gri kara
    """
)

# Words of a value that change nothing of what the others say.
_FILLERS = _set(
    """
    the a an is in on reported of to from by for as at been has was be now and or
    list listed liste lista status state imei imeis device phone telephone mobile handset terminal
    equipment number record entry eir flag code de del la el du des der die das von aus
    """
)
_SUBSCRIBERS = re.compile("imsi|msisdn|iccid|^supi")
_SUBSCRIBER_TITLES = _set(
    "sim usim subscriber subscribers abonado abonados abonne abonnes teilnehmer abbonato assinante abone"
)
_NUMBER_TITLES = _set(  # beside these
    "id ids no nr num number numbers numero numeros nummer numara code identity identifier card cards serial"
    " de del du da do la el le of the"
)
_FOUND = _set(
    "found encontrado encontrada retrouve retrouvee gefunden wiedergefunden ritrovato ritrovata bulundu"
)
_ENDED = _set(_OVER)
_NOT = _set("not no non nicht kein keine pas nao degil never")
_MOST_WORDS = 6

_STATUS_TITLES = _set(
    """
    status statuses state estado estatus statut etat stato zustand durum situacao situacion list lists
    liste lista listtype colour color couleur farbe cor colore renk flag flags response result resultado
    verdict decision active inactive activo actif aktiv ativo attivo aktif enabled disabled valid
    approved
    """
)
_CHANGE_TITLES = _set(
    """
    action actions accion acao aktion azione islem operation operations operacion operacao operazione op
    oper change changes changetype cambio changement mutation command cmd movimiento movement crud
    event events evento evenement ereignis olay transaction
    """
)
# With one of these, a title speaks of when, who or why.
_ASIDE = _set(
    """
    date dates time datetime datum fecha data tarih timestamp ts day at on since until by who user reason
    reasons motivo motif grund razon causa id uuid name nombre nom count number no nr price country city
    comment remarks
    """
)
_REASON_TITLES = _set(
    """
    reason reasons cause causes motivo motivos motif motifs raison grund grunde razon causa causas neden
    sebep
    """
)
_ENDS = re.compile(
    r"unblock|deblo|deblock|desbloq|entsperr|sblocc|unbar|delist|remov|delet|recover|recuper|withdr|whitelist"
    r"|released|lifted|expired|revoked|cancell?ed"
)
_REMOVALS = re.compile("remov|delet|withdr|expired|revoked|cancell?ed")
_CODE_NUMBER = re.compile(r"\A0?([012])(?:\.0)?\Z")  # "01" and "1.0" are 1
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_TOKEN = re.compile(r"[^\W_]+")


def decoded(value: bytes | bytearray) -> str:
    """A text: UTF-8, or else Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def text_of(value: bytes | str) -> str:
    """A cell as text, without blanks around it."""
    return (value if isinstance(value, str) else decoded(value)).strip()


def folded(text: str) -> str:
    """A text without case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("\N{LATIN SMALL LETTER DOTLESS I}", "i"))
    return "".join(c for c in plain if not unicodedata.combining(c))


def is_absent(cell: bytes | str) -> bool:
    """Whether a cell says that it has no value."""
    return text_of(cell).casefold() in ABSENT


@lru_cache(1 << 12)
def code_of(value: str) -> str | None:
    """The code that a value is; None if it is none."""
    text = _CODE_NUMBER.sub(r"\1", folded(value.strip()))
    return text if text in CODES else None


@lru_cache(1 << 12)
def meaning(value: str, *, titled: bool = False) -> Meaning | None:
    """What a value says; None if it says nothing that is known.

    titled: it stands under a title of statuses or changes. Of several words, each has to be known, or to
    change nothing: 'removed from list', 'not blocked', '1 - BLACKLISTED', 'stolen|recovered'.
    """
    words = _TOKEN.findall(folded(value))
    if not words or len(words) > _MOST_WORDS:
        return None
    if found := _meaning("".join(words), titled):
        return found
    said = [word for word in words if word not in _FILLERS and not word.isdigit()]
    if said and said[0] in _NOT and len(said) > 1:
        denied = None if said[1] == "found" else meaning(" ".join(said[1:]), titled=titled)
        return {"blocks": "clears", "clears": "blocks"}.get(denied or "")  # type: ignore[return-value]
    found_each = [_meaning(word, titled) for word in said if len(word) > 1]
    if not found_each or None in found_each:
        return None
    ends: Iterable[Meaning] = ("removes", "clears", "grey")
    return next((end for end in ends if end in found_each), found_each[0])


def _meaning(word: str, titled: bool) -> Meaning | None:
    return _MEANINGS.get(word) or (_UNDER_TITLE.get(word) if titled else None)


def is_found(value: str) -> bool:
    """Whether a value says that a phone was found."""
    return bool(_FOUND & {*_TOKEN.findall(folded(value))})


def is_over(value: str) -> bool:
    """Whether a value says that something ended, be it a block or a permission."""
    return bool(_ENDED & {*_TOKEN.findall(folded(value))})


def are_colours(values: Iterable[str]) -> bool:
    """Whether values are colours of phones, of which black, white and grey say nothing."""
    return any(_COLOURS & {*_TOKEN.findall(folded(value))} for value in values)


def is_colour(value: str) -> bool:
    """Whether a value is one of the colours by which lists are named."""
    return folded(value.strip()) in _PLAIN_COLOURS


# ---- titles --------------------------------------------------------------------------------------


def words_of(title: str) -> list[str]:
    """The words of a title: 'equipmentStatus' and 'equipment_status' have two."""
    return _TOKEN.findall(folded(_CAMEL.sub(" ", title)))


def speaks_of_statuses(title: str) -> bool:
    """Whether the values under a title say which rows are listed."""
    words = words_of(title)
    if _ASIDE & {*words} or not words:
        return False
    return bool(_STATUS_TITLES & {*words}) or "".join(words) in _STATUS_TITLES or says(title) is not None


def speaks_of_changes(title: str) -> bool:
    """Whether the values under a title say what becomes of rows."""
    words = words_of(title)
    return not _ASIDE & {*words} and bool(_CHANGE_TITLES & {*words, "".join(words)})


def speaks_of_reasons(title: str) -> bool:
    """Whether a title says that there are reasons under it."""
    return bool(_REASON_TITLES & {*words_of(title)})


def speaks_of_subscribers(title: str) -> bool:
    """Whether numbers under a title are those of subscribers, cards or lines."""
    return is_of_subscribers(title) or _SUBSCRIBERS.search("".join(words_of(title))) is not None


def is_of_subscribers(title: str) -> bool:
    """Whether numbers under a title are those of subscribers, of whatever kind: 'sim', 'subscriber'."""
    words = words_of(title)
    return bool(_SUBSCRIBER_TITLES & {*words}) and {*words} <= _SUBSCRIBER_TITLES | _NUMBER_TITLES


def speaks_of_ends(title: str, *, blocklist: bool = True) -> bool:
    """Whether a value under a title says that a row is listed no longer: 'unblock_date', 'removed'. In a list
    that lets phones through, only removals do."""
    return (_ENDS if blocklist else _REMOVALS).search("".join(words_of(title))) is not None


def says(title: str) -> Meaning | None:
    """What a yes under a title says: 'blocked?', 'is_whitelisted'."""
    return meaning(_CAMEL.sub(" ", title).replace("_", " "))


# ---- for the scanner -----------------------------------------------------------------------------


def spellings(*meanings: Meaning) -> frozenset[bytes]:
    """Words of these meanings as bytes in which ASCII is in lower case; of those of two words, with what may
    stand between. Accents: in UTF-8 and Latin-1."""
    return frozenset(
        spelling for one in meanings for word in _WORDS[one].split() for spelling in _spelt(word)
    )


_PARTED = re.compile(r"(black|white|grey|gray|block|allow|deny)(list(?:ed)?)|(list[ae])(\w+)|(\w+)(liste)")
_ACCENTED = {
    "bloque": "bloqué",
    "bloquee": "bloquée",
    "vole": "volé",
    "volee": "volée",
    "autorise": "autorisé",
    "autorisee": "autorisée",
    "debloque": "débloqué",
    "debloquee": "débloquée",
    "retrouve": "retrouvé",
    "retrouvee": "retrouvée",
    "recupere": "récupéré",
    "recuperee": "récupérée",
    "weiss": "weiß",
    "calinti": "çal\u0131nt\u0131",
    "calindi": "çal\u0131nd\u0131",
    "kayip": "kay\u0131p",
}


def _spelt(word: str) -> Iterator[bytes]:
    yield word.encode()
    if parts := _PARTED.fullmatch(word):
        first, second = filter(None, parts.groups())
        yield from (f"{first}{between}{second}".encode() for between in " -_")
    if accented := _ACCENTED.get(word):
        for form in (accented, accented.upper()):  # the scanner knows the case of ASCII only
            for encoding in ("utf-8", "latin-1"):
                yield form.encode(encoding, "ignore").lower()


def change_of(value: str, *, blocklist: bool = True) -> Literal["add", "remove", "update"] | None:
    """The change that a value says; None if it says none for sure. In a blocklist, words that block add, and
    those that clear remove. What is said of another list, or denied, is not sure: 'removed from whitelist',
    'not blocked'."""
    words = _TOKEN.findall(folded(value))
    says, each = meaning(value), {_meaning(word, False) for word in words}
    if says is None and len(words) == 1:  # 'alta', 'del'; but 'cancelled' may be said of a removal
        says = meaning(value, titled=True)
        says = says if says in _CHANGES else None
    changes = each & _CHANGES.keys()
    elsewhere = changes and each & {"grey", "clears" if blocklist else "blocks"}
    if says is None or len(changes) > 1 or elsewhere or {"blocks", "clears"} <= each or _NOT & {*words}:
        return None
    if blocklist and says in _AS_CHANGES:
        return _AS_CHANGES[says]
    return _CHANGES.get(says)


_CHANGES: dict[Meaning, Literal["add", "remove", "update"]] = {
    "adds": "add",
    "removes": "remove",
    "updates": "update",
}
_AS_CHANGES: dict[Meaning | None, Literal["add", "remove", "update"]] = {"blocks": "add", "clears": "remove"}

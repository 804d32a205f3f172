## Jede Seite

tables = Tabellen
history = Verlauf
workspaces = Arbeitsbereiche
keys = API-Schlüssel
webhooks = Webhooks
consumers = Abnehmer
menu = Hauptmenü
path = Pfad
skip-to-content = Zum Inhalt springen
palette = Zu einer Tabelle oder Seite gehen
palette-open = Finden …
palette-hint = Einen Namen tippen …
palette-none = Nichts heißt so
palette-key = Strg K
save-key = Strg S
keyboard = Tastatur
keys-move = Nächste, vorige Tabelle
keys-select = Auswählen
close = Schließen
cancel = Abbrechen
dismiss = Ausblenden
undo = Rückgängig
somebody = jemand
the-platform = die Plattform
theme = Darstellung
theme-system = System
theme-light = Hell
theme-dark = Dunkel
language = Sprache
api-docs = API-Dokumentation
sign-in = Anmelden
sign-out = Abmelden
sign-in-intro = Tabellen, deren Form Sie ändern, und nichts geht je verloren.
api-key = API-Schlüssel
api-key-help = Er beginnt mit dtk_. Sie haben ihn von dem, der den Dienst betreibt; ein Anmeldelink geht auch, einmal.
link-used = Dieser Link wurde schon benutzt oder ist zu alt. Nehmen Sie Ihren Schlüssel.
role-viewer = Lesen
role-editor = Bearbeiten
role-integrator = Anbinden
role-auditor = Prüfen
role-admin = Verwalten
role-platform = Plattform
just-now = gerade eben
now = Jetzt
live-changed = geändert von { $name }
changed-meanwhile = Jemand hat diese Tabelle geändert, während Sie sie bearbeiten. Speichern Sie wie sonst: was sich widerspricht, steht nebeneinander.
offline = Keine Verbindung. Änderungen erscheinen, wenn sie wieder da ist.
online = Wieder verbunden.
not-sent = Das konnte nicht gesendet werden. Nichts ist verloren: versuchen Sie es noch einmal.
leave-unsaved = Sie haben Änderungen, die nicht gespeichert sind.
session-ended = Ihre Sitzung ist zu Ende. Melden Sie sich in einem anderen Tab an und versuchen Sie es dann noch einmal.
request-id = Anfrage { $id }
back-to-tables = Zurück zu den Tabellen

## Was gerade geschah

notice-created = „{ $name }“ angelegt.
notice-saved = „{ $name }“ gespeichert.
notice-saved-merged = Gespeichert. Andere hatten inzwischen etwas anderes geändert; beides bleibt.
notice-unchanged = Nichts wurde geändert.
notice-deleted = „{ $name }“ gelöscht.
notice-deleted-meanwhile = Jemand hat sie inzwischen gelöscht. Stellen Sie sie wieder her, um sie zu ändern.
notice-restored = „{ $name }“ wiederhergestellt.
notice-reverted = „{ $name }“ ist wie in Version { $count }.
notice-purged = „{ $name }“ ist endgültig weg.
notice-erased = Sie ist endgültig weg, mit allem, was über sie aufgezeichnet war.
notice-deleted-some = { $count ->
    [one] Eine Tabelle gelöscht.
   *[other] { $count } Tabellen gelöscht.
}
notice-restored-some = { $count ->
    [one] Eine Tabelle wiederhergestellt.
   *[other] { $count } Tabellen wiederhergestellt.
}
notice-moved-some = { $count ->
    [one] Eine Tabelle verschoben.
   *[other] { $count } Tabellen verschoben.
}
notice-purged-some = { $count ->
    [one] Eine Tabelle ist endgültig weg.
   *[other] { $count } Tabellen sind endgültig weg.
}

## Die Liste

active = Aktiv
trash = Papierkorb
new-table = Neue Tabelle
search = Suchen
search-tables = Tabellen suchen
all-workspaces = Alle Arbeitsbereiche
whole-company = Ganze Firma
a-workspace = ein Arbeitsbereich
changed-by = Geändert von
changed-by-anyone = Von allen geändert
changed-by-me = Von mir geändert
sort = Reihenfolge
sort-by-updatedAt = Zuletzt geändert zuerst
sort-updatedAt = Zuerst geändert zuerst
sort-name = Name, A bis Z
sort-by-name = Name, Z bis A
sort-by-createdAt = Neueste zuerst
sort-createdAt = Älteste zuerst
view-rows = Als Zeilen
view-cards = Als Karten
density = Gedrängt
selected = ausgewählt
select-table = { $name } auswählen
move = Verschieben
move-to = Verschieben nach
more = Weitere Tabellen
actions-of = Aktionen für { $name }
settings = Einstellungen
duplicate = Duplizieren
delete = Löschen
restore = Wiederherstellen
purge = Endgültig löschen
version = Version
updated = geändert
by = von { $name }
no-tables = Noch keine Tabellen
no-tables-help = Eine Tabelle enthält eine Art von Dingen: Kunden, Bestellungen, Ideen. Geben Sie ihr einen Namen; ihre Form darf sich jederzeit ändern, und jede Änderung ist zu sehen und rückgängig zu machen.
first-table = Die erste Tabelle anlegen
nothing-found = Nichts passt
nothing-found-help = Keine Tabelle hat das in Namen, Kürzel oder Beschreibung.
show-all = Alle Tabellen zeigen
trash-empty = Der Papierkorb ist leer
trash-empty-help = Gelöschte Tabellen bleiben hier, bis jemand sie endgültig löscht.
nothing-then = Damals war hier nichts
nothing-then-help = Zu dieser Zeit hatte die Firma keine Tabelle, die passt.
then = Wie es am { $time } war. Das lässt sich nur lesen.
back-to-now = Zurück zu jetzt
time-go = Alles zeigen, wie es war am
time-show = Zeigen
moment-hour = Vor einer Stunde
moment-yesterday = Gestern
moment-week = Vor einer Woche
moment-month = Vor einem Monat
newer-than-then = Seitdem angelegt
since-new = neu seitdem
since-changed = geändert seitdem
since-gone = weg seitdem
since-same = unverändert

## Eine Tabelle

general = Allgemein
records = Datensätze
features = Funktionen
danger = Gefahr
name = Name
name-help = Wie man sie nennt.
untitled = Unbenannte Tabelle
slug = Kürzel
slug-help = Wie Links sie nennen: a–z, 0–9 und Bindestriche. Links mit dem alten führen weiter zum neuen.
slug-help-new = Wie Links sie nennen: a–z, 0–9 und Bindestriche. Es folgt dem Namen, bis Sie es ändern.
slug-free = ist frei
slug-taken = ist vergeben
slug-wrong = nur a–z, 0–9 und einzelne Bindestriche
take-slug = { $slug } nehmen
free-slug = { $slug } ist frei.
description = Beschreibung
description-help = Wozu sie da ist, für alle, die später kommen.
workspace = Arbeitsbereich
workspace-help = Zu welchem Teil der Firma sie gehört.
color = Farbe
no-color = Keine Farbe
color-1 = Rot
color-2 = Orange
color-3 = Gelb
color-4 = Hellgrün
color-5 = Grün
color-6 = Blaugrün
color-7 = Türkis
color-8 = Blau
color-9 = Indigo
color-10 = Violett
color-11 = Rosa
color-12 = Grau
icon = Symbol
icon-help = Ein Symbol von unten, sein Name oder ein Emoji.
recordNameFormat = Namen der Datensätze
recordNameFormat-help = Wie Datensätze heißen, zum Beispiel {"{{name}}"} – {"{{date}}"}. Leer: nach ihrem ersten Feld.
sample = Zum Beispiel:
defaultView = Erste Ansicht
defaultView-help = Was zuerst aufgeht: grid, kanban, calendar, gallery, form oder eine andere.
allowMultiple = Mehrere Datensätze je Person
allowMultiple-help = Aus: jede Person kann einen Datensatz anlegen.
enableForm = Öffentliches Formular
enableForm-help = Auch ohne Konto kann man über ein Formular Datensätze anlegen.
enableComments = Kommentare
enableComments-help = Man kann über einen Datensatz sprechen.
enableAttachments = Anhänge
enableAttachments-help = Dateien lassen sich an Datensätze hängen.
enableRevisions = Frühere Fassungen
enableRevisions-help = Frühere Stände eines Datensatzes bleiben und werden gezeigt.
further = Weitere Einstellungen, als JSON
further-help = Schlüssel, die andere Programme benutzen, als JSON-Objekt. Was Sie herausnehmen, wird entfernt.
further-wrong = Das ist kein JSON-Objekt.
create = Anlegen
create-another = Noch eine anlegen
save = Speichern
changes = Änderungen
unsaved = { $count ->
    [one] 1 Änderung nicht gespeichert
   *[other] {"{count}"} Änderungen nicht gespeichert
}
review = Prüfen
review-title = Was aufgezeichnet wird
review-help = Sehen Sie es durch und sagen Sie, wenn Sie mögen, warum: wer den Verlauf von „{ $name }“ liest, wird es sehen.
discard = Verwerfen
reason = Grund
reason-help = Er bleibt im Verlauf, mit Ihrem Namen.
reason-optional = Grund (wenn Sie mögen)
clash = Jemand anderes hat dasselbe geändert
clash-help = { $name } hat gespeichert, während Sie bearbeitet haben. Wählen Sie für jedes Feld, was bleiben soll; alles andere von Ihnen bleibt.
clash-base = Vorher
clash-theirs = Von anderen, jetzt
clash-yours = Von Ihnen
clash-save = Meine Wahl speichern
clash-discard = Alles von anderen nehmen
is-deleted = { $time } gelöscht. Name und Verlauf bleiben, bis sie endgültig gelöscht wird.
version-then = Version { $version } vom { $time }, von { $name }. Das lässt sich nur lesen.
restore-version = Diese Version wiederherstellen
revert-title = Version { $version } wiederherstellen
revert-help = Die Tabelle wird, wie sie damals war. Was seitdem geschah, bleibt im Verlauf und lässt sich ebenso wiederherstellen.
duplicate-help = Eine Kopie mit denselben Einstellungen, mit dem Namen „… copy“.
delete-table = Diese Tabelle löschen
delete-help = Sie kommt in den Papierkorb. Sie lässt sich jederzeit wiederherstellen, genau wie sie ist.
purge-title = „{ $name }“ endgültig löschen?
purge-help = Das ist für immer: die Tabelle lässt sich nicht wiederherstellen. Ihr Verlauf bleibt lesbar, wenn er nicht auch getilgt wird.
purge-type = Tippen Sie „{ $name }“, um zu bestätigen
purge-name = Das ist nicht ihr Name.
purge-reason = Sagen Sie, warum sie getilgt wird: das bleibt.
erase = Auch ihren Verlauf tilgen
erase-help = Alles, was über sie aufgezeichnet wurde, in jeder Kopie. Dass es sie gab, wer sie getilgt hat und warum, bleibt.

## Was sich änderte

field = Feld
before = Vorher
after = Nachher
not-set = nicht gesetzt
empty-text = leer
on = an
off = aus
nothing-changes = Nichts ändert sich.
field-deletedAt = Gelöscht
field-purgedAt = Endgültig gelöscht
field-removedAt = Entfernt
field-workspaceId = Arbeitsbereich
field-name = Name
field-settings = Einstellungen

## Was falsch ist

error-required = Das wird gebraucht.
error-too-short = Das wird gebraucht.
error-taken = Dieses Kürzel ist vergeben.
error-too-long = Das ist zu lang ({ $detail }).
error-invalid-slug = Nur Wörter aus a–z und 0–9, mit einzelnen Bindestrichen.
error-invalid-color = Eine Farbe sieht so aus: #1a2b3c.
problem-not-found = Hier ist nichts
problem-not-found-remedy = Das gibt es nicht, oder es gehört jemand anderem. Prüfen Sie die Adresse.
problem-forbidden = Das dürfen Sie nicht
problem-forbidden-remedy = Ihr Schlüssel erlaubt es nicht. Bitten Sie jemanden, der Ihre Firma verwaltet, um einen mit einer anderen Rolle.
problem-table-purged = Diese Tabelle ist weg
problem-table-purged-remedy = Sie wurde endgültig gelöscht. Ihr Verlauf ist noch zu lesen, wenn er nicht getilgt wurde.
problem-unavailable = Der Dienst kann gerade nicht antworten
problem-unavailable-remedy = Nichts ist verloren. Versuchen Sie es gleich noch einmal.
problem-internal = Etwas ging schief
problem-internal-remedy = Es ist vermerkt. Versuchen Sie es noch einmal; geschieht es wieder, sagen Sie es dem, der den Dienst betreibt, mit der Nummer unten.
problem-csrf = Dieses Formular ist zu alt
problem-csrf-remedy = Die Seite war schon offen, bevor Sie sich angemeldet haben. Öffnen Sie sie neu und senden Sie noch einmal.
problem-version-mismatch = Jemand war schneller
problem-version-mismatch-remedy = Es hat sich geändert, seit Sie die Seite geöffnet haben. Gehen Sie zurück, sehen Sie nach, was neu ist, und versuchen Sie es noch einmal.
problem-rate-limited = Zu viele Anfragen
problem-rate-limited-remedy = Warten Sie einen Moment, dann geht es weiter.

## Arbeitsbereiche und Schlüssel

pages = Seiten
first-page = Erste Seite
next-page = Nächste Seite
actions = Aktionen
rename = Umbenennen
rename-named = { $name } umbenennen
delete-named = { $name } löschen
restore-named = { $name } wiederherstellen
changed-at = Geändert
created-at = Angelegt
deleted-at = Gelöscht
new-workspace = Neuer Arbeitsbereich
rename-workspace = Arbeitsbereich umbenennen
workspace-name-help = Der Teil der Firma, zu dem seine Tabellen gehören, etwa ein Team oder ein Projekt.
deleted-workspaces = Gelöscht
no-workspaces = Noch keine Arbeitsbereiche
no-workspaces-help = Ein Arbeitsbereich ist ein Teil der Firma, etwa ein Team oder ein Projekt. Die Tabellen, die zu ihm gehören, findet man zusammen, und sie werden zusammen gelöscht und wiederhergestellt.
first-workspace = Den ersten Arbeitsbereich anlegen
no-deleted-workspaces = Kein Arbeitsbereich ist gelöscht
no-deleted-workspaces-help = Ein gelöschter Arbeitsbereich bleibt hier und lässt sich jederzeit mit seinen Tabellen wiederherstellen.
renamed-meanwhile = { $by } hat ihn inzwischen umbenannt: er heißt jetzt „{ $name }“.
keep-name = „{ $name }“ behalten
rename-anyway = Trotzdem umbenennen
delete-workspace = Arbeitsbereich löschen
delete-workspace-title = „{ $name }“ löschen?
delete-workspace-tables = { $count ->
    [0] Es ist keine Tabelle darin.
    [one] Seine eine Tabelle kommt mit ihm in den Papierkorb.
   *[other] Seine { $count } Tabellen kommen mit ihm in den Papierkorb.
}
delete-workspace-help = Er lässt sich jederzeit wiederherstellen, mit allem, was mit ihm gelöscht wurde.
changed-before-delete = { $by } hat ihn inzwischen geändert: er heißt jetzt „{ $name }“.
company-settings = Firmeneinstellungen
company-name-help = Wie man die Firma nennt.
company-lenient = Programme dürfen etwas ändern, ohne zu sagen, welche Version sie kennen.
company-strict = Programme müssen sagen, welche Version sie kennen, wenn sie etwas ändern.
company-meanwhile = { $by } hat inzwischen dasselbe geändert. Der Name ist jetzt „{ $name }“, strenge Änderungen sind { $strict }.
requireIfMatch = Strenge Änderungen
requireIfMatch-help = Programme, die über die API etwas ändern, löschen oder wiederherstellen, müssen sagen, welche Version sie kennen (If-Match), damit niemand überschreibt, was er nicht gesehen hat. Diese Seiten sorgen selbst dafür.
save-anyway = Meines speichern
notice-workspace-deleted = „{ $name }“ gelöscht, und seine Tabellen mit ihm.
notice-workspace-restored = „{ $name }“ wiederhergestellt, mit den Tabellen, die mit ihm gelöscht wurden.
notice-workspace-deleted-meanwhile = Jemand hat „{ $name }“ inzwischen gelöscht. Stellen Sie ihn wieder her, um ihn zu ändern.
notice-key-revoked = „{ $name }“ widerrufen. Er lässt niemanden mehr herein.
keys-help = Ein Schlüssel lässt einen Menschen oder ein Programm herein, mit dem, was seine Rolle darf. Jeder hat seinen eigenen, damit er sich allein widerrufen lässt.
new-key = Neuer Schlüssel
revoked-keys = Widerrufen
no-keys = Keine Schlüssel
no-revoked-keys = Kein Schlüssel wurde widerrufen
no-revoked-keys-help = Schlüssel, die niemanden mehr hereinlassen, bleiben hier aufgeführt, mit dem, der sie widerrufen hat.
key-label = Bezeichnung
key-label-help = Für wen oder was er ist; so heißt er auch im Verlauf.
key-role = Rolle
key-expires = Läuft ab nach (wenn Sie mögen)
key-expires-help = Der letzte Tag, an dem er gilt; leer: er läuft nie ab.
last-used = Zuletzt benutzt
expires-at = Läuft ab
revoked-at = Widerrufen
never-used = nie
never-expires = nie
expired = abgelaufen
own-key = gerade Ihrer
command-line = der Kommandozeile
erased-label = ein Schlüssel ohne Namen
role-viewer-help = Sieht Tabellen und Arbeitsbereiche.
role-editor-help = Sieht Tabellen, legt sie an, ändert und löscht sie.
role-integrator-help = Sieht Tabellen, folgt Ereignissen und richtet Abnehmer und Webhooks ein.
role-auditor-help = Sieht Tabellen, alle Ereignisse und das Prüfprotokoll und exportiert es.
role-admin-help = Darf alles in dieser Firma, auch Arbeitsbereiche, Schlüssel und Personen verwalten.
role-not-yours = Ihr eigener Schlüssel darf das nicht alles.
key-made = Neuer Schlüssel
key-made-title = „{ $name }“ ist angelegt
key-once = Kopieren Sie ihn jetzt und bewahren Sie ihn sicher auf: er wird nicht noch einmal gezeigt.
key-shown-before = Dieser Schlüssel wurde schon gezeigt und wird nicht noch einmal gezeigt. Hat ihn niemand kopiert, widerrufen Sie ihn und legen Sie einen anderen an.
key-kept = Ich habe ihn aufbewahrt
back-to-keys = Zurück zu den Schlüsseln
copy = Kopieren
copied = Kopiert
revoke = Widerrufen
revoke-named = { $name } widerrufen
revoke-key = Schlüssel widerrufen
revoke-title = „{ $name }“ widerrufen?
revoke-help = Binnen einer Sekunde lässt er niemanden mehr herein. Das lässt sich nicht rückgängig machen.
revoke-unused = Er wurde nie benutzt.
revoke-own = Mit diesem Schlüssel sind Sie gerade angemeldet: wird er widerrufen, sind Sie abgemeldet.
revoke-and-leave = Widerrufen und abmelden
error-unknown-value = Wählen Sie eines davon.
error-past = Das ist schon vorbei.
error-datetime-parsing = Das ist kein Datum.
error-out-of-range = Das ist außerhalb des Erlaubten.

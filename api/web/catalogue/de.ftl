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
keys-clear = Auswahl aufheben
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
key-wrong = Dieser Schlüssel ist unbekannt, widerrufen oder abgelaufen. Kopieren Sie ihn noch einmal, von Anfang bis Ende.
show-key = Schlüssel zeigen
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
leave-unsaved = Sie haben Änderungen, die nicht gespeichert sind. Ohne sie weitergehen?
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
deleted-ago = { $time } gelöscht
changed-by-anyone = Von allen geändert
changed-by-me = Von mir geändert
filters = Filter
sort = Reihenfolge
sort-by-updatedAt = Zuletzt geändert zuerst
sort-updatedAt = Am längsten unverändert zuerst
sort-name = Name, A bis Z
sort-by-name = Name, Z bis A
sort-by-createdAt = Neueste zuerst
sort-createdAt = Älteste zuerst
view-rows = Als Zeilen
view-cards = Als Karten
density = Gedrängt
selected = ausgewählt
select-table = { $name } auswählen
select-all = Alle auswählen
clear = Aufheben
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
slug-taken = { $slug } ist vergeben.
slug-wrong = Nur a–z, 0–9 und einzelne Bindestriche.
take-slug = { $slug } nehmen
free-slug = { $slug } ist frei.
slug-and-description = Kürzel und Beschreibung
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
defaultView-help = Was zuerst aufgeht.
defaultView-grid = Raster
defaultView-kanban = Kanban-Tafel
defaultView-calendar = Kalender
defaultView-gallery = Galerie
defaultView-form = Formular
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
draft = Angefangen war „{ $name }“.
draft-take = Weitermachen
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
clash = Jemand anderes hat dieselben Felder geändert
clash-help = { $name } hat gespeichert, während Sie bearbeitet haben. Wählen Sie für jedes Feld, was bleiben soll; alles andere von Ihnen bleibt.
clash-base = Vorher
clash-theirs = Von anderen, jetzt
clash-yours = Von Ihnen
clash-save = Meine Wahl speichern
clash-discard = Alles von mir verwerfen
is-deleted = Gelöscht { $time }. Name und Verlauf bleiben, bis sie endgültig gelöscht wird.
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
purge-reason-help = Nur nötig, wenn der Verlauf getilgt wird.
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

## Webhooks und Abnehmer

refresh = Aktualisieren
edit = Bearbeiten
state = Zustand
events = Ereignisse
event = Ereignis
what-waits = Was wartet
in-a-moment = gleich
position = Position
time = Zeit
why = Warum
attempts = Versuche
next-try = Nächster Versuch
at-position = Position { $position }
events-all = Alle Ereignisse
events-kinds = { $count } Arten
events-of = von { $name }
events-choose = Nur manche Ereignisse
events-choose-help = Nichts angekreuzt: alle Arten.
events-table-def = Tabellen
events-workspace = Arbeitsbereiche
events-company = Firma
events-table = Nur von einer Tabelle
events-table-help = Ihr Kürzel. Leer: von allen Tabellen.
start = Beginnen mit
start-head = Nur, was neu ist
start-0 = Allem, was je geschah
start-position = Was nach einer Position kommt:
start-time = Was zu einer Zeit oder später aufgezeichnet wurde:
start-help = Eine Position ist die Nummer eines Ereignisses, wie der Feed sie nennt.
webhook-address = Adresse
webhook-address-help = Dorthin werden Ereignisse per POST gesendet, als JSON, signiert.
webhook-description = Wozu er da ist
webhook-description-help = Für alle, die ihn später hier finden.
webhooks-help = Jedes Ereignis wird an diese Adressen gesendet, in der Reihenfolge jeder Tabelle, bis es angenommen ist.
new-webhook = Neuer Webhook
edit-webhook = Webhook bearbeiten
no-webhooks = Noch wird niemand benachrichtigt
no-webhooks-help = Ein Webhook ruft ein anderes System an, wenn mit einer Tabelle etwas geschieht: es bekommt das Ereignis als signiertes POST, so oft, bis es mit 2xx antwortet. Geben Sie eine Adresse an und senden Sie ihr dann einen Test.
first-webhook = Den ersten Webhook anlegen
begin-paused = Angehalten beginnen
begin-paused-help = Nichts wird gesendet, bis Sie ihn fortsetzen; nichts geht inzwischen verloren.
webhook-on = An
webhook-failing = Scheitert
webhook-failing-help = Der letzte Versuch ging schief und wird wiederholt. Bei anderen Tabellen geht es weiter.
webhook-waiting = In Ruhe gelassen
webhook-waiting-help = Es ging mehrmals schief. Nächster Versuch { $time }.
webhook-asked = Angehalten
webhook-asked-help = Jemand hat ihn angehalten. Was geschieht, wartet.
webhook-gone = Gestoppt: weg
webhook-gone-help = Die Antwort war 410, das heißt: nie wieder.
webhook-failed = Gestoppt: scheitert
webhook-failed-help = Es ging tagelang schief.
webhook-rewound = Gestoppt: Sicherung
webhook-rewound-help = Eine Sicherung von uns wurde eingespielt. Prüfen Sie, was die andere Seite hat, und setzen Sie ihn dann fort.
failures = { $count ->
    [one] Ein Fehlschlag.
   *[other] { $count } Fehlschläge hintereinander.
}
failures-in-a-row = Fehlschläge hintereinander
last-delivery = Letzte Zustellung
nothing-sent = nichts in 30 Tagen
no-answer = keine Antwort
to-be-sent = Noch zu senden
resends = { $count ->
    [one] und ein Auftrag, etwas noch einmal zu senden
   *[other] und { $count } Aufträge, etwas noch einmal zu senden
}
webhook-secret = Geheimnis zum Signieren
webhook-made = Der Webhook ist bereit
secret-rotated = Es gibt ein neues Geheimnis
secret-once = Kopieren Sie das Geheimnis jetzt: es wird nur dieses eine Mal gezeigt.
secret-help = Wer empfängt, prüft damit, dass Nachrichten von uns sind, wie Standard Webhooks es beschreibt.
secret-both = Bis { $time } werden Nachrichten auch mit dem bisherigen signiert.
secret-shown = Das Geheimnis wurde schon gezeigt. Hat es niemand aufbewahrt, machen Sie ein neues.
secret-kept = Ich habe es aufbewahrt
to-webhook = Zum Webhook
test-webhook = Test senden
test-again = Noch einen senden
test-taken = Der Test wurde angenommen
test-refused = Der Test wurde nicht angenommen
test-help = Er ist signiert wie jede andere Nachricht und sagt nichts. In der Liste der Zustellungen steht er nicht.
after-milliseconds = nach { $count } ms
milliseconds = { $count } ms
answer-began = Anfang der Antwort
pause = Anhalten
resume = Fortsetzen
try-now = Jetzt versuchen
waiting-title = Was wartet
waiting-help = Ein Ereignis wurde nicht angenommen. Es wird wieder versucht; was von derselben Tabelle folgt, wartet, damit die Reihenfolge bleibt.
when-resumed = wenn er fortgesetzt wird
never-by-itself = wenn Sie es jetzt versuchen
deliveries = Zustellungen der letzten 30 Tage
no-deliveries = Noch wurde nichts gesendet. Ändern Sie eine Tabelle oder senden Sie einen Test.
outcome = Ergebnis
sent-at = Gesendet
answer = Antwort
attempt-number = Versuch { $number }
was-resent = auf Wunsch noch einmal
send-again = Noch einmal senden
send-range = Einen Bereich noch einmal senden
send-range-help = Ereignisse, für die dieser Webhook da ist, werden noch einmal gesendet, der Reihe nach, neben denen, die neu sind. Die letzte Position ist { $position }.
range-after = Nach Position
range-after-help = 0: von Anfang an.
range-until = Bis Position
range-until-help = Diese eingeschlossen.
more-deliveries = Frühere
newest-deliveries = Neueste
rotate-secret = Neues Geheimnis
rotate-help = Macht ein anderes Geheimnis zum Signieren. Eine Weile wird mit beiden signiert, damit nichts abgelehnt wird, während Sie es auf der anderen Seite ändern.
overlap = Beide gelten noch
overlap-help = Kennt jemand das bisherige Geheimnis, der es nicht soll: gar nicht.
overlap-0 = gar nicht
overlap-3600 = eine Stunde
overlap-86400 = einen Tag
overlap-604800 = eine Woche
overlap-2592000 = 30 Tage
delete-webhook = Webhook löschen
delete-webhook-title = Diesen Webhook löschen?
delete-webhook-help = Dorthin wird nichts mehr gesendet, und was gesendet wurde, ist vergessen. Das lässt sich nicht rückgängig machen.
notice-webhook-saved = Webhook gespeichert.
notice-webhook-paused = Angehalten. Was geschieht, wartet.
notice-webhook-resumed = Was gewartet hat, wird gesendet.
notice-webhook-deleted = Webhook gelöscht.
notice-webhook-resent = Es wird gleich noch einmal gesendet.
notice-webhook-resent-range = Diese Ereignisse werden noch einmal gesendet.
consumers-help = Andere Programme lesen Ereignisse unter diesen Namen; wie weit jeder ist, wird hier aufbewahrt.
new-consumer = Neuer Abnehmer
edit-consumer = Abnehmer bearbeiten
no-consumers = Noch liest niemand
no-consumers-help = Ein Abnehmer ist ein Name, unter dem andere Programme jedes Ereignis lesen, einmal und der Reihe nach. Wir merken uns, wie weit er ist, mehrere dürfen sich die Arbeit teilen, und womit niemand zurechtkommt, das wartet, ohne den Rest aufzuhalten. Beginnen Sie mit einem Namen.
first-consumer = Den ersten Abnehmer anlegen
consumer-name-help = Buchstaben ohne Umlaute, Ziffern, Punkte, Unterstriche und Bindestriche; er lässt sich nicht ändern.
partitions = Partitionen
partitions-help = 1 bis 16: wie viele zugleich lesen dürfen.
partitions-are = Jede wird von einem Programm auf einmal gelesen; alle Ereignisse einer Tabelle sind in derselben.
partition = Partition
lease-seconds = Sekunden zum Bearbeiten
lease-seconds-help = 1 bis 3.600: wie lange auf den gewartet wird, der liest.
max-attempts = Versuche
max-attempts-help = 1 bis 100: danach wird die Tabelle zurückgestellt.
terms = Bedingungen
terms-are = { $count ->
    [one] { $seconds } s zum Bearbeiten, ein Versuch
   *[other] { $seconds } s zum Bearbeiten, { $count } Versuche
}
behind = Rückstand
not-behind = auf dem Stand
behind-events = { $count ->
    [one] 1 Ereignis
   *[other] { $number } Ereignisse
}
behind-more = { $number } Ereignisse oder mehr
behind-since = das älteste { $time }
read-by = Es liest
leases = { $count ->
    [0] gerade niemand
   *[other] { $count } von { $of } vergeben
}
leased-until = vergeben; Frist endet
nobody-reads = gerade niemand
acknowledged = Bestätigt
up-to-position = bis { $position }
of-position = von { $position }
held-back = Zurückgehalten
nothing-held = nichts
parked-count = { $count } zurückgestellt
retrying-count = { $count } wieder versucht
parked-title = Was zurückgehalten ist
parked-help = Ein Ereignis davon wurde abgelehnt. Was zurückgestellt ist, wartet auf Sie; mit allem anderen geht es weiter.
held-parked = Zurückgestellt
held-retrying = Wird wieder versucht
attempts-made = { $count ->
    [one] 1 Versuch
   *[other] { $count } Versuche
}
replay-all = Alle noch einmal ausgeben
replay-parked = Noch einmal ausgeben
drop = Überspringen
drop-title = Überspringen, was von „{ $name }“ wartet?
drop-help = { $name } bekommt die wartenden Ereignisse nie; was ab jetzt damit geschieht, kommt wieder. Das lässt sich nicht rückgängig machen.
how-to-read = So wird gelesen
how-to-read-help = Mit dem Schlüssel für „Anbinden“. Was Sie holen, gehört Ihnen, bis die Frist endet, und kommt wieder, wenn Sie es nicht bestätigen.
how-to-fetch = Die nächsten Ereignisse holen
how-to-ack = Sie bestätigen
seek = Wiederholen oder auslassen
seek-title = Wo { $name } weiterliest
seek-help = Liest Ereignisse noch einmal oder lässt welche aus. Alle Fristen enden, und was zurückgehalten ist, wird vergessen.
seek-now-at = Jetzt ist er bei { $position }; die letzte ist { $head }.
seek-zone = In Ihrer Zeitzone, { $zone }.
go-on = Weiter mit
delete-consumer = Abnehmer löschen
consumer-name-wrong = Das ist nicht sein Name.
delete-consumer-title = „{ $name }“ löschen?
delete-consumer-help = Wie weit er ist und was für ihn zurückgehalten wird, ist dann vergessen. Programme, die unter diesem Namen lesen, werden abgewiesen.
notice-consumer-sought = Von dort geht es weiter.
notice-consumer-deleted = Abnehmer „{ $name }“ gelöscht.
notice-consumer-replayed = Es wird noch einmal ausgegeben.
notice-consumer-dropped = Übersprungen.
error-invalid-url = Das ist keine http- oder https-Adresse, die sich so aufrufen lässt.
error-private-address = Diese Adresse ist privat: nur öffentliche werden aufgerufen.
error-invalid-uuid = Keine Tabelle hat dieses Kürzel.
error-invalid-position = Eine Position ist eine Zahl wie 48231.
error-out-of-order = Das muss über der anderen Position liegen.
error-type = Das ist keine ganze Zahl.
error-datetime = Geben Sie Tag und Uhrzeit an.
error-name-taken = Diesen Abnehmer gibt es schon.
error-invalid-consumer-name = Nur Buchstaben ohne Umlaute, Ziffern, Punkte, Unterstriche und Bindestriche; vorn ein Buchstabe oder eine Ziffer.
problem-idempotency-key-reused = Dieses Formular wurde schon abgeschickt
problem-idempotency-key-reused-remedy = Dieses Formular wurde schon mit anderem Inhalt abgeschickt, und das wurde gespeichert. Sehen Sie nach, ob Sie dieses noch wollen, und schicken Sie es dann noch einmal ab.
problem-limit-reached = Es sind zu viele
problem-limit-reached-remedy = Es gibt so viele, wie es geben darf. Löschen Sie, was niemand braucht, oder warten Sie, bis einige fertig sind.
problem-feed-rewound = Diese Position gibt es noch nicht
problem-feed-rewound-remedy = So weit vorn gibt es noch kein Ereignis. Wählen Sie eine kleinere Position.

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
rotate = Ersetzen
rotate-named = { $name } ersetzen
rotate-key = Schlüssel ersetzen
rotate-title = „{ $name }“ durch einen neuen Schlüssel ersetzen?
rotate-key-help = Der neue heißt genauso, darf dasselbe und läuft ab, wenn dieser es täte. Eine Weile gelten beide, damit nichts abgewiesen wird, während Sie ihn dort ändern, wo er benutzt wird.
rotate-own = Mit diesem Schlüssel sind Sie gerade angemeldet: endet er, sind Sie abgemeldet.
key-overlap = Dieser gilt noch
key-overlap-help = Kennt ihn jemand, der es nicht soll: gar nicht.
key-rotated-title = „{ $name }“ hat einen neuen Schlüssel
former-key-until = Der bisherige gilt noch bis { $time }.
former-key-ended = Der bisherige gilt nicht mehr.
role-scopes = Einzelne Rechte
role-scopes-help = Nur, was Sie ankreuzen.
scope-tables-read = Tabellen und Arbeitsbereiche sehen
scope-tables-write = Tabellen ändern
scope-tables-purge = Tabellen endgültig löschen
scope-workspaces-write = Arbeitsbereiche verwalten
scope-company-write = Firmeneinstellungen ändern
scope-people-write = Personen verwalten
scope-keys-write = API-Schlüssel verwalten
scope-events-read = Ereignissen folgen
scope-consumers-write = Abnehmer einrichten
scope-webhooks-write = Webhooks einrichten
scope-audit-read = Prüfprotokoll lesen
scope-audit-export = Prüfprotokoll exportieren
problem-key-revoked = Dieser Schlüssel gilt nicht mehr
problem-key-revoked-remedy = Er wurde widerrufen oder ist abgelaufen. Legen Sie einen anderen an.
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

## Verlauf

history-title = Verlauf von { $name }
history-nameless = Eine Tabelle, deren Name getilgt wurde
history-is-purged = Endgültig gelöscht { $time }. Sie lässt sich nicht wiederherstellen; was mit ihr geschah, ist noch zu lesen.
history-is-erased = Getilgt { $time }, mit allem, was über sie aufgezeichnet war. Dass es sie gab, wer sie getilgt hat und warum, bleibt.
history-erased = <em>{ $kind }</em>: ist geschehen und wurde später getilgt
history-erased-help = Was hier stand, ist weg, in jeder Kopie, die der Dienst hat.
history-reason = „{ $reason }“
history-when = Aufgezeichnet
history-kind = Art
history-position = Position
history-request = Anfrage
history-json = Als JSON
history-event = Ereignis
history-event-help = Wie andere Programme es erfahren, die den Ereignissen folgen.
history-of-table = Verlauf dieser Tabelle
history-more = Früheres
history-versions = Versionen
history-version-of = Version { $version } von { $last }
history-show-version = Diese Version zeigen
history-since = Was sich seit Version { $version } geändert hat
history-is-now = Das ist die jetzige Version.
history-same = Jetzt ist wieder alles gleich.
history-filter = Welcher Teil des Verlaufs
history-words = Namen, Gründe, Einstellungen …
history-by = Von wem
history-by-anyone = Von allen
history-all-kinds = Jede Art
history-apply = Zeigen
history-all = Alles zeigen
history-nothing = So etwas ist nicht geschehen, oder nicht in dieser Zeit.
from = Von
to = Bis
download = Herunterladen
history-refresh = Noch einmal nachsehen
kind-TableDef-Created = Tabelle angelegt
kind-TableDef-Renamed = Tabelle umbenannt
kind-TableDef-SlugChanged = Kürzel geändert
kind-TableDef-DescriptionChanged = Beschreibung geändert
kind-TableDef-AppearanceChanged = Symbol oder Farbe geändert
kind-TableDef-SettingsChanged = Einstellungen einer Tabelle geändert
kind-TableDef-MovedToWorkspace = Tabelle verschoben
kind-TableDef-Deleted = Tabelle gelöscht
kind-TableDef-Restored = Tabelle wiederhergestellt
kind-TableDef-Purged = Tabelle endgültig gelöscht
kind-TableDef-Erased = Tabelle getilgt
kind-Workspace-Created = Arbeitsbereich angelegt
kind-Workspace-Renamed = Arbeitsbereich umbenannt
kind-Workspace-Deleted = Arbeitsbereich gelöscht
kind-Workspace-Restored = Arbeitsbereich wiederhergestellt
kind-Company-Registered = Firma angemeldet
kind-Company-Renamed = Firma umbenannt
kind-Company-SettingsChanged = Einstellungen der Firma geändert
kind-Company-Removed = Firma entfernt
kind-Company-Restored = Firma wiederhergestellt
# Was geschah: in der englischen Fassung sagt es der Dienst selbst.
event-TableDef-Created = hat <em>{ $name }</em> angelegt
event-TableDef-Renamed = hat <em>{ $before }</em> in <em>{ $after }</em> umbenannt
event-TableDef-SlugChanged = hat das Kürzel von <em>{ $name }</em> von <em>{ $before }</em> in <em>{ $after }</em> geändert
event-TableDef-DescriptionChanged = { $change ->
    [added] hat <em>{ $name }</em> beschrieben
    [removed] hat die Beschreibung von <em>{ $name }</em> entfernt
   *[changed] hat die Beschreibung von <em>{ $name }</em> geändert
}
event-TableDef-AppearanceChanged = hat { $looks ->
    [icon] das Symbol
    [color] die Farbe
   *[both] Symbol und Farbe
} von <em>{ $name }</em> geändert
event-TableDef-SettingsChanged = hat { $count ->
    [0] nichts
   *[other] { $keys }
}{ $more ->
    [0] {""}
   *[other] {" "}und { $more } weitere
} in <em>{ $name }</em> geändert
event-TableDef-MovedToWorkspace = hat <em>{ $name }</em> { $change ->
    [added] in einen Arbeitsbereich
    [removed] in die ganze Firma
   *[changed] in einen anderen Arbeitsbereich
} verschoben
event-TableDef-Deleted = hat <em>{ $name }</em> gelöscht
event-TableDef-Restored = hat <em>{ $name }</em> wiederhergestellt
event-TableDef-Purged = hat <em>{ $name }</em> endgültig gelöscht
event-TableDef-Erased = hat alles getilgt, was über diese Tabelle aufgezeichnet war
event-Workspace-Created = hat den Arbeitsbereich <em>{ $name }</em> angelegt
event-Workspace-Renamed = hat den Arbeitsbereich <em>{ $before }</em> in <em>{ $after }</em> umbenannt
event-Workspace-Deleted = hat den Arbeitsbereich <em>{ $name }</em> gelöscht
event-Workspace-Restored = hat den Arbeitsbereich <em>{ $name }</em> wiederhergestellt
event-Company-Registered = hat die Firma <em>{ $name }</em> angemeldet
event-Company-Renamed = hat die Firma <em>{ $before }</em> in <em>{ $after }</em> umbenannt
event-Company-SettingsChanged = hat { $count ->
    [0] nichts
   *[other] { $keys }
}{ $more ->
    [0] {""}
   *[other] {" "}und { $more } weitere
} in der Firma <em>{ $name }</em> geändert
event-Company-Removed = hat die Firma <em>{ $name }</em> entfernt
event-Company-Restored = hat die Firma <em>{ $name }</em> wiederhergestellt
export = Exportieren
export-title = Den Verlauf exportieren
export-help = Alles, was aufgezeichnet wurde, als eine Datei zum Mitnehmen. Hier bleibt sie ein paar Tage.
export-days = Beide Tage gehören dazu. Lassen Sie sie leer, um alles zu bekommen.
export-format = Wozu
export-zip = Zum Nachprüfen: ein ZIP-Archiv mit jedem Ereignis, dem signierten Prüfpunkt und wie man sie prüft
export-csv = Für eine Tabellenkalkulation: CSV
export-start = Export beginnen
export-list = Exporte
export-progress = Fortschritt
export-waiting = wartet …
export-running = { $percent } %
export-failed = Er ist gescheitert. Beginnen Sie noch einen. { $why }
export-size = { NUMBER($size) } kB
export-limit = Es gibt schon { $count } Exporte. Löschen Sie einen, den niemand braucht.
export-delete = Den { $format }-Export vom { $time } löschen
checkpoint = Prüfpunkt
checkpoint-of = Er steht für { $count ->
    [one] das einzige Ereignis bisher
   *[other] alle { $count } Ereignisse bisher
} und wurde am { $time } signiert.
checkpoint-keep = Bewahren Sie ihn auf, jeden Tag, wo niemand ihn ändern kann, der diesen Dienst betreibt; und einmal seine öffentlichen Schlüssel.
checkpoint-verify = Später sagt das auf einem Rechner von Ihnen, ob ein Export noch mit dem beginnt, was Sie aufbewahrt haben:
checkpoint-none = Noch ist nichts signiert: sehen Sie in ein paar Sekunden noch einmal nach.
checkpoint-refused = Das Protokoll ist nicht das, das signiert wurde: jemand hat es verändert. Kein weiterer Prüfpunkt wird signiert; dies ist der letzte. Vergleichen Sie ihn mit denen, die Sie aufbewahrt haben.
checkpoint-keys = Öffentliche Schlüssel
history-versions-help = Schieben Sie ihn, um zu sehen, was sich seit einer Version geändert hat.
problem-validation = Das kann nicht stimmen
problem-validation-remedy = Ein Teil dessen, was verlangt wurde, ist nicht, was er sein sollte. Gehen Sie zurück und wählen Sie noch einmal.
problem-invalid-cursor = Diese Seite gibt es nicht mehr
problem-invalid-cursor-remedy = Sie setzte eine Liste fort, die Sie vorher ansahen. Fangen Sie auf deren erster Seite noch einmal an.
problem-projection-behind = Noch nicht zu sehen
problem-projection-behind-remedy = Was gerade aufgezeichnet wurde, wird noch vorbereitet. Versuchen Sie es gleich noch einmal.
export-wrong = Das sind keine zwei Tage, der erste vor dem zweiten.

## Every page

tables = Tables
history = History
workspaces = Workspaces
keys = API keys
webhooks = Webhooks
consumers = Consumers
menu = Main menu
path = Path
skip-to-content = Skip to the content
palette = Go to a table or a page
palette-open = Find…
palette-hint = Type a name…
palette-none = Nothing is called that
palette-key = Ctrl K
save-key = Ctrl S
keyboard = Keyboard
keys-move = Next, previous table
keys-select = Select
close = Close
cancel = Cancel
dismiss = Dismiss
undo = Undo
somebody = somebody
the-platform = the platform
theme = Theme
theme-system = System
theme-light = Light
theme-dark = Dark
language = Language
api-docs = API documentation
sign-in = Sign in
sign-out = Sign out
sign-in-intro = Tables whose shape you change, and nothing is ever lost.
api-key = API key
api-key-help = It begins with dtk_. Whoever runs the service gave it to you; a sign-in link works as well, once.
key-wrong = This key is unknown, revoked or expired. Copy it once more, from beginning to end.
show-key = Show the key
link-used = This link was used before, or is too old. Use your key.
role-viewer = Viewer
role-editor = Editor
role-integrator = Integrator
role-auditor = Auditor
role-admin = Admin
role-platform = Platform
just-now = just now
now = Now
live-changed = changed by { $name }
changed-meanwhile = Somebody changed this table while you edit it. Save as usual: what clashes is shown side by side.
offline = No connection. Changes are shown when it is back.
online = Connected again.
not-sent = This could not be sent. Nothing is lost: try again.
leave-unsaved = You have changes that are not saved. Leave without them?
session-ended = Your session has ended. Sign in in another tab, then try again.
request-id = Request { $id }
back-to-tables = Back to the tables

## What was just done

notice-created = Created “{ $name }”.
notice-saved = Saved “{ $name }”.
notice-saved-merged = Saved. Others had changed something else meanwhile; both are kept.
notice-unchanged = Nothing was changed.
notice-deleted = Deleted “{ $name }”.
notice-deleted-meanwhile = Somebody deleted it meanwhile. Restore it to change it.
notice-restored = Restored “{ $name }”.
notice-reverted = “{ $name }” is as it was at version { $count }.
notice-purged = “{ $name }” is gone for ever.
notice-erased = It is gone for ever, with all that was recorded of it.
notice-deleted-some = { $count ->
    [one] Deleted one table.
   *[other] Deleted { $count } tables.
}
notice-restored-some = { $count ->
    [one] Restored one table.
   *[other] Restored { $count } tables.
}
notice-moved-some = { $count ->
    [one] Moved one table.
   *[other] Moved { $count } tables.
}
notice-purged-some = { $count ->
    [one] One table is gone for ever.
   *[other] { $count } tables are gone for ever.
}

## The list

active = Active
trash = Trash
new-table = New table
search = Search
search-tables = Search tables
all-workspaces = All workspaces
whole-company = Whole company
a-workspace = a workspace
changed-by = Changed by
changed-by-anyone = Changed by anyone
changed-by-me = Changed by me
sort = Sort
sort-by-updatedAt = Last changed first
sort-updatedAt = Longest unchanged first
sort-name = Name, A to Z
sort-by-name = Name, Z to A
sort-by-createdAt = Newest first
sort-createdAt = Oldest first
view-rows = As rows
view-cards = As cards
density = Compact
selected = selected
select-table = Select { $name }
move = Move
move-to = Move to
more = More tables
actions-of = Actions for { $name }
settings = Settings
duplicate = Duplicate
delete = Delete
restore = Restore
purge = Purge
version = Version
updated = updated
by = by { $name }
no-tables = No tables yet
no-tables-help = A table holds one kind of thing: customers, orders, ideas. Give it a name; its shape may change at any time, and every change can be seen and undone.
first-table = Create the first table
nothing-found = Nothing matches
nothing-found-help = No table has this in its name, slug or description.
show-all = Show all tables
trash-empty = The trash is empty
trash-empty-help = Deleted tables stay here until somebody purges them.
nothing-then = There was nothing then
nothing-then-help = At that time the company had no table that matches.
then = As it was on { $time }. This can only be read.
back-to-now = Back to now
time-go = Show everything as it was on
time-show = Show
moment-hour = An hour ago
moment-yesterday = Yesterday
moment-week = A week ago
moment-month = A month ago
newer-than-then = Created since
since-new = new since
since-changed = changed since
since-gone = gone since
since-same = unchanged

## A table

general = General
records = Records
features = Features
danger = Danger
name = Name
name-help = What people call it.
untitled = Untitled table
slug = Slug
slug-help = What links call it: a–z, 0–9 and hyphens. Links with the old one lead on to the new one.
slug-help-new = What links call it: a–z, 0–9 and hyphens. It follows the name until you change it.
slug-free = is free
slug-taken = is in use
slug-wrong = only a–z, 0–9 and single hyphens
take-slug = Use { $slug }
free-slug = { $slug } is free.
description = Description
description-help = What it is for, for whoever comes later.
workspace = Workspace
workspace-help = Which part of the company it belongs to.
color = Colour
no-color = No colour
color-1 = Red
color-2 = Orange
color-3 = Amber
color-4 = Lime
color-5 = Green
color-6 = Teal
color-7 = Cyan
color-8 = Blue
color-9 = Indigo
color-10 = Violet
color-11 = Pink
color-12 = Grey
icon = Icon
icon-help = An icon from below, its name, or an emoji.
recordNameFormat = Record names
recordNameFormat-help = How records are called, for example {"{{name}}"} – {"{{date}}"}. Empty: by their first field.
sample = For example:
defaultView = First view
defaultView-help = What opens first: grid, kanban, calendar, gallery, form, or another.
allowMultiple = Several records per person
allowMultiple-help = Off: each person can add one record.
enableForm = Public form
enableForm-help = People without an account can add records by a form.
enableComments = Comments
enableComments-help = People can discuss a record.
enableAttachments = Attachments
enableAttachments-help = Files can be attached to records.
enableRevisions = Revisions
enableRevisions-help = Earlier states of a record are kept and shown.
further = Further settings, as JSON
further-help = Keys that other programs use, as a JSON object. A key that is taken out is removed.
further-wrong = This is not a JSON object.
create = Create
create-another = Create another
save = Save
changes = Changes
unsaved = { $count ->
    [one] 1 unsaved change
   *[other] {"{count}"} unsaved changes
}
review = Review
review-title = What will be recorded
review-help = Look it over, and say why if you want: whoever reads the history of “{ $name }” will see it.
discard = Discard
reason = Reason
reason-help = It is kept in the history, with your name.
reason-optional = Reason (optional)
clash = Somebody else changed the same fields
clash-help = { $name } saved while you were editing. Choose for each field what is to stay; everything else of yours is kept.
clash-base = Before
clash-theirs = Theirs, now
clash-yours = Yours
clash-save = Save my choice
clash-discard = Discard all of mine
is-deleted = Deleted { $time }. Its name and history are kept until it is purged.
version-then = Version { $version }, of { $time } by { $name }. This can only be read.
restore-version = Restore this version
revert-title = Restore version { $version }
revert-help = The table will be as it was then. What happened since stays in the history, and can be restored as well.
duplicate-help = A copy with the same settings, called “… copy”.
delete-table = Delete this table
delete-help = It goes to the trash. It can be restored at any time, exactly as it is.
purge-title = Purge “{ $name }”?
purge-help = This is for ever: the table cannot be restored. Its history stays readable unless it is erased as well.
purge-type = Type “{ $name }” to confirm
purge-name = This is not its name.
purge-reason-help = Needed only if its history is erased.
purge-reason = Say why it is erased: that is kept.
erase = Also erase its history
erase-help = Everything that was recorded of it, in every copy. That it existed, who erased it and why is kept.

## What changed

field = Field
before = Before
after = After
not-set = not set
empty-text = empty
on = on
off = off
nothing-changes = Nothing changes.
field-deletedAt = Deleted
field-purgedAt = Purged
field-removedAt = Removed
field-workspaceId = Workspace
field-name = Name
field-settings = Settings

## What is wrong

error-required = This is needed.
error-too-short = This is needed.
error-taken = This slug is in use.
error-too-long = This is too long: { $detail }.
error-invalid-slug = Only words of a–z and 0–9, joined by single hyphens.
error-invalid-color = A colour looks like #1a2b3c.
problem-not-found = There is nothing here
problem-not-found-remedy = It does not exist, or belongs to somebody else. Check the address.
problem-forbidden = You may not do this
problem-forbidden-remedy = Your key does not allow it. Ask an admin of your company for a key with another role.
problem-table-purged = This table is gone
problem-table-purged-remedy = It was purged. Its history can still be read, unless it was erased.
problem-unavailable = The service cannot answer now
problem-unavailable-remedy = Nothing is lost. Try again in a moment.
problem-internal = Something went wrong
problem-internal-remedy = It was logged. Try again; if it happens again, tell whoever runs the service, with the number below.
problem-csrf = This form is too old
problem-csrf-remedy = The page was opened before you signed in. Open it again, then send it once more.
problem-version-mismatch = Somebody was faster
problem-version-mismatch-remedy = It changed since you opened the page. Go back, look at what is new, and try again.
problem-rate-limited = Too many requests
problem-rate-limited-remedy = Wait a moment, then go on.

## Webhooks and consumers

refresh = Refresh
edit = Edit
state = State
events = Events
event = Event
what-waits = What waits
in-a-moment = in a moment
position = Position
time = Time
why = Why
attempts = Attempts
next-try = Next try
at-position = position { $position }
events-all = All events
events-kinds = { $count } kinds
events-of = of { $name }
events-choose = Only some events
events-choose-help = Nothing ticked: all kinds.
events-table-def = Tables
events-workspace = Workspaces
events-company = Company
events-table = Only of one table
events-table-help = Its slug. Empty: of all tables.
start = Begin with
start-head = Only what is new
start-0 = All there ever was
start-position = What comes after a position:
start-time = What was recorded at a time, or later:
start-help = A position is the number of an event, as the feed has it.
webhook-address = Address
webhook-address-help = Events are sent there by POST, as JSON, signed.
webhook-description = What it is for
webhook-description-help = For those who find it here later.
webhooks-help = Each event is sent to these addresses, in the order of each table, until it is taken.
new-webhook = New webhook
edit-webhook = Edit webhook
no-webhooks = Nobody is called yet
no-webhooks-help = A webhook calls another system whenever something happens to a table: it gets a signed POST with the event, again and again until it answers 2xx. Give an address, then send it a test.
first-webhook = Add the first webhook
begin-paused = Begin paused
begin-paused-help = Nothing is sent until you resume it; nothing is lost meanwhile.
webhook-on = On
webhook-failing = Failing
webhook-failing-help = The last attempt failed, and is made again. Other tables go on.
webhook-waiting = Left alone
webhook-waiting-help = It failed several times. Next try { $time }.
webhook-asked = Paused
webhook-asked-help = Somebody paused it. What happens waits.
webhook-gone = Stopped: gone
webhook-gone-help = It answered 410, which means: never again.
webhook-failed = Stopped: failing
webhook-failed-help = It failed for days.
webhook-rewound = Stopped: restored
webhook-rewound-help = A backup of ours was restored. Check what the other side has, then resume.
failures = { $count ->
    [one] One failure in a row.
   *[other] { $count } failures in a row.
}
failures-in-a-row = Failures in a row
last-delivery = Last delivery
nothing-sent = nothing in 30 days
no-answer = no answer
to-be-sent = To be sent
resends = { $count ->
    [one] and one request to send something again
   *[other] and { $count } requests to send something again
}
webhook-secret = Signing secret
webhook-made = The webhook is ready
secret-rotated = There is a new secret
secret-once = Copy the secret now: it is shown this once.
secret-help = Whoever receives verifies with it that messages are ours, as Standard Webhooks has it.
secret-both = Until { $time } messages are signed with the former one as well.
secret-shown = Its secret was shown before. If nobody kept it, make a new one.
secret-kept = I have kept it
to-webhook = To the webhook
test-webhook = Send a test
test-again = Send another
test-taken = The test was taken
test-refused = The test was not taken
test-help = It is signed like any other message, and says nothing. It is not in the list of deliveries.
after-milliseconds = after { $count } ms
milliseconds = { $count } ms
answer-began = How the answer began
pause = Pause
resume = Resume
try-now = Try now
waiting-title = What waits
waiting-help = An event was not taken. It is tried again; what follows of the same table waits, so that the order stays.
when-resumed = when it is resumed
never-by-itself = when you try now
deliveries = Deliveries of the last 30 days
no-deliveries = Nothing was sent yet. Change a table, or send a test.
outcome = Outcome
sent-at = Sent
answer = Answer
attempt-number = attempt { $number }
was-resent = sent again on request
send-again = Send again
send-range = Send a range again
send-range-help = Events that this webhook is for are sent once more, in order, beside those that are new. The last position is { $position }.
range-after = After position
range-after-help = 0: from the beginning.
range-until = Up to position
range-until-help = This one included.
more-deliveries = Earlier ones
newest-deliveries = Newest
rotate-secret = New secret
rotate-help = Makes another signing secret. For a while messages are signed with both, so that nothing is refused while you change it on the other side.
overlap = Both sign for
overlap-help = If the former secret is known to somebody: not at all.
overlap-0 = not at all
overlap-3600 = an hour
overlap-86400 = a day
overlap-604800 = a week
overlap-2592000 = 30 days
delete-webhook = Delete webhook
delete-webhook-title = Delete this webhook?
delete-webhook-help = Nothing is sent there any more, and what was sent is forgotten. This cannot be undone.
notice-webhook-saved = Webhook saved.
notice-webhook-paused = Paused. What happens waits.
notice-webhook-resumed = What waited is being sent.
notice-webhook-deleted = Webhook deleted.
notice-webhook-resent = It will be sent again in a moment.
notice-webhook-resent-range = These events will be sent again.
consumers-help = Other programs read events under these names; how far each is, is kept here.
new-consumer = New consumer
edit-consumer = Edit consumer
no-consumers = Nobody reads yet
no-consumers-help = A consumer is a name under which other programs read every event, once and in order. We keep how far it is, several workers may share it, and an event that cannot be dealt with waits without stopping the others. Begin with a name.
first-consumer = Add the first consumer
consumer-name-help = Letters, digits, full stops, underscores and hyphens; it cannot be changed.
partitions = Partitions
partitions-help = 1 to 16: how many may read at once.
partitions-are = Each is read by one worker at a time; a table has all its events in one of them.
partition = Partition
lease-seconds = Seconds of a lease
lease-seconds-help = 1 to 3,600: how long a reader is waited for.
max-attempts = Attempts
max-attempts-help = 1 to 100: then the table is parked.
terms = Terms
terms-are = { $count ->
    [one] Leases of { $seconds } s, one attempt
   *[other] Leases of { $seconds } s, { $count } attempts
}
behind = Behind
not-behind = up to date
behind-events = { $count ->
    [one] 1 event
   *[other] { $number } events
}
behind-more = { $number } events or more
behind-since = the oldest { $time }
read-by = Read by
leases = { $count ->
    [0] nobody now
   *[other] { $count } of { $of } leased
}
leased-until = lease ends
nobody-reads = nobody now
acknowledged = Acknowledged
up-to-position = up to { $position }
of-position = of { $position }
held-back = Held back
nothing-held = nothing
parked-count = { $count } parked
retrying-count = { $count } tried again
parked-title = What is held back
parked-help = An event of these was refused. What is parked waits for you; all others go on.
held-parked = Parked
held-retrying = Tried again
attempts-made = { $count ->
    [one] 1 attempt
   *[other] { $count } attempts
}
replay-all = Hand all out again
replay-parked = Hand out again
drop = Skip
drop-title = Skip what waits of “{ $name }”?
drop-help = { $name } never gets the events that wait; what happens to it from now on comes again. This cannot be undone.
how-to-read = How to read
how-to-read-help = With the key of an integrator. What is fetched is yours until the lease ends, and comes again if you do not acknowledge it.
how-to-fetch = Fetch the next events
how-to-ack = Acknowledge them
seek = Replay or skip
seek-title = Where { $name } goes on
seek-help = Reads events once more, or skips some. All leases end, and what is held back is forgotten.
seek-now-at = It is at { $position } now; the last is { $head }.
seek-zone = In your time zone, { $zone }.
go-on = Go on with
delete-consumer = Delete consumer
consumer-name-wrong = This is not its name.
delete-consumer-title = Delete “{ $name }”?
delete-consumer-help = How far it is, and what is held back for it, is forgotten. Programs that read under this name are refused.
notice-consumer-sought = It goes on from there.
notice-consumer-deleted = Consumer “{ $name }” deleted.
notice-consumer-replayed = It is handed out again.
notice-consumer-dropped = Skipped.
error-invalid-url = This is no http or https address that can be called as it stands.
error-private-address = This address is private: only public ones are called.
error-invalid-uuid = No table has this slug.
error-invalid-position = A position is a number such as 48231.
error-out-of-order = This must be above the other position.
error-type = This is not a whole number.
error-datetime = Give a date and a time.
error-name-taken = There is a consumer of this name.
error-invalid-consumer-name = Only letters, digits, full stops, underscores and hyphens; a letter or digit first.
problem-idempotency-key-reused = This form was sent before
problem-idempotency-key-reused-remedy = This form was sent before with something else in it, and that was recorded. Look whether you still want this one, then send it once more.
problem-limit-reached = There are too many
problem-limit-reached-remedy = There are as many as there may be. Delete one that nobody needs, or wait until some are done.
problem-feed-rewound = That position is not there yet
problem-feed-rewound-remedy = There is no event so far ahead yet. Choose a lower position.

## Workspaces and keys

pages = Pages
first-page = First page
next-page = Next page
actions = Actions
rename = Rename
rename-named = Rename { $name }
delete-named = Delete { $name }
restore-named = Restore { $name }
changed-at = Changed
created-at = Created
deleted-at = Deleted
new-workspace = New workspace
rename-workspace = Rename workspace
workspace-name-help = The part of the company that its tables belong to, such as a team or a project.
deleted-workspaces = Deleted
no-workspaces = No workspaces yet
no-workspaces-help = A workspace is a part of the company, such as a team or a project. Tables that belong to it are found together, and deleted and restored together.
first-workspace = Create the first workspace
no-deleted-workspaces = No workspace is deleted
no-deleted-workspaces-help = A deleted workspace stays here, and can be restored with its tables at any time.
renamed-meanwhile = { $by } renamed it meanwhile: it is called “{ $name }” now.
keep-name = Keep “{ $name }”
rename-anyway = Rename anyway
delete-workspace = Delete workspace
delete-workspace-title = Delete “{ $name }”?
delete-workspace-tables = { $count ->
    [0] There is no table in it.
    [one] Its one table goes to the trash with it.
   *[other] Its { $count } tables go to the trash with it.
}
delete-workspace-help = It can be restored at any time, with all that was deleted with it.
changed-before-delete = { $by } changed it meanwhile: it is called “{ $name }” now.
company-settings = Company settings
company-name-help = What people call the company.
company-lenient = Programs may change things without saying which version they know.
company-strict = Programs must say which version they know when they change something.
company-meanwhile = { $by } changed the same meanwhile. Now the name is “{ $name }”, and strict changes are { $strict }.
requireIfMatch = Strict changes
requireIfMatch-help = Programs that change, delete or restore something over the API must say which version they know (If-Match), so that nobody overwrites what they have not seen. These pages see to that themselves.
save-anyway = Save mine
notice-workspace-deleted = Deleted “{ $name }”, and its tables with it.
notice-workspace-restored = Restored “{ $name }”, and the tables that were deleted with it.
notice-workspace-deleted-meanwhile = Somebody deleted “{ $name }” meanwhile. Restore it to change it.
notice-key-revoked = Revoked “{ $name }”. It lets nobody in any more.
keys-help = A key lets a person or a program in, with what its role may do. Each has its own, so that it can be revoked alone.
new-key = New key
revoked-keys = Revoked
no-keys = No keys
no-revoked-keys = No key was revoked
no-revoked-keys-help = Keys that let nobody in any more stay listed here, with who revoked them.
key-label = Label
key-label-help = Who or what it is for; it is also its name in the history.
key-role = Role
key-expires = Expires after (optional)
key-expires-help = The last day on which it works; empty: it never expires.
last-used = Last used
expires-at = Expires
revoked-at = Revoked
never-used = never
never-expires = never
expired = expired
own-key = yours now
command-line = the command line
erased-label = a key without a name
role-viewer-help = Sees tables and workspaces.
role-editor-help = Sees, creates, changes and deletes tables.
role-integrator-help = Sees tables, follows events, and sets up consumers and webhooks.
role-auditor-help = Sees tables, all events and the audit log, and exports it.
role-admin-help = May do everything in this company: workspaces, keys and people, too.
role-not-yours = Your own key may not do all of this.
key-made = New key
key-made-title = “{ $name }” is made
key-once = Copy it now and keep it in a safe place: it is not shown again.
key-shown-before = This key was shown already, and is not shown again. If nobody copied it, revoke it and create another.
key-kept = I have kept it
back-to-keys = Back to the keys
copy = Copy
copied = Copied
rotate = Replace
rotate-named = Replace { $name }
rotate-key = Replace key
rotate-title = Replace “{ $name }” by a new key?
rotate-key-help = The new one has the same name and the same rights, and expires when this one would have. Both work for a while, so that nothing is refused while you change it where it is used.
rotate-own = This is the key that you are signed in with: when it ends, you are signed out.
key-overlap = This one goes on for
key-overlap-help = If somebody knows it who should not: not at all.
key-rotated-title = “{ $name }” has a new key
former-key-until = The former one works until { $time }.
former-key-ended = The former one works no more.
role-scopes = Single rights
role-scopes-help = Just what you tick.
scope-tables-read = See tables and workspaces
scope-tables-write = Change tables
scope-tables-purge = Purge tables
scope-workspaces-write = Manage workspaces
scope-company-write = Change the company’s settings
scope-people-write = Manage people
scope-keys-write = Manage API keys
scope-events-read = Follow events
scope-consumers-write = Set up consumers
scope-webhooks-write = Set up webhooks
scope-audit-read = Read the audit log
scope-audit-export = Export the audit log
problem-key-revoked = This key works no more
problem-key-revoked-remedy = It was revoked, or has expired. Create another.
revoke = Revoke
revoke-named = Revoke { $name }
revoke-key = Revoke key
revoke-title = Revoke “{ $name }”?
revoke-help = Within a second it lets nobody in any more. That cannot be undone.
revoke-unused = It was never used.
revoke-own = This is the key that you are signed in with: revoking it signs you out.
revoke-and-leave = Revoke and sign out
error-unknown-value = Choose one of these.
error-past = This is over already.
error-datetime-parsing = This is no date.
error-out-of-range = This is out of range.

## History

history-title = History of { $name }
history-nameless = A table whose name was erased
history-is-purged = Purged { $time }. It cannot be restored; what happened to it can still be read.
history-is-erased = Erased { $time }, with all that was recorded of it. That it was there, who erased it and why is kept.
history-erased = <em>{ $kind }</em>: happened, and was erased later
history-erased-help = What this said is gone, in every copy that the service keeps.
history-reason = “{ $reason }”
history-when = Recorded
history-kind = Kind
history-position = Position
history-request = Request
history-json = As JSON
history-event = Event
history-event-help = As the feed of events tells it to other programs.
history-of-table = History of this table
history-more = Earlier
history-versions = Versions
history-version-of = Version { $version } of { $last }
history-show-version = Show this version
history-since = What has changed since version { $version }
history-is-now = This is the present version.
history-same = Now it is the same again.
history-filter = Which part of the history
history-words = Names, reasons, settings …
history-by = By whom
history-by-anyone = By anyone
history-all-kinds = All kinds
history-apply = Show
history-all = Show everything
history-nothing = Nothing like this happened, or not then.
from = From
to = To
download = Download
history-refresh = Look again
kind-TableDef-Created = Table created
kind-TableDef-Renamed = Table renamed
kind-TableDef-SlugChanged = Slug changed
kind-TableDef-DescriptionChanged = Description changed
kind-TableDef-AppearanceChanged = Icon or colour changed
kind-TableDef-SettingsChanged = Table settings changed
kind-TableDef-MovedToWorkspace = Table moved
kind-TableDef-Deleted = Table deleted
kind-TableDef-Restored = Table restored
kind-TableDef-Purged = Table purged
kind-TableDef-Erased = Table erased
kind-Workspace-Created = Workspace created
kind-Workspace-Renamed = Workspace renamed
kind-Workspace-Deleted = Workspace deleted
kind-Workspace-Restored = Workspace restored
kind-Company-Registered = Company registered
kind-Company-Renamed = Company renamed
kind-Company-SettingsChanged = Company settings changed
kind-Company-Removed = Company removed
kind-Company-Restored = Company restored
event-TableDef-SettingsChanged = changed { $count ->
    [0] nothing
   *[other] { $keys }
}{ $more ->
    [0] {""}
   *[other] {" "}and { $more } more
} in <em>{ $name }</em>
export = Export
export-title = Export the history
export-help = All that was recorded, as one file to take away. Here it is kept for a few days.
export-days = Both days are part of it. Leave them empty for everything.
export-format = What for
export-zip = To be verified: a ZIP archive with every event, the signed checkpoint and how to check them
export-csv = For a spreadsheet: CSV
export-start = Start the export
export-list = Exports
export-progress = Progress
export-waiting = waiting …
export-running = { $percent } %
export-failed = It failed. Start another. { $why }
export-size = { NUMBER($size) } kB
export-limit = There are { $count } exports already. Delete one that is not needed.
export-delete = Delete the { $format } export of { $time }
checkpoint = Checkpoint
checkpoint-of = It stands for { $count ->
    [one] the only event so far
   *[other] all { $count } events so far
}, and was signed on { $time }.
checkpoint-keep = Keep it, every day, where nobody who runs this service can change it; and keep its public keys once.
checkpoint-verify = Later, on a machine of your own, this says whether an export still begins with what you kept:
checkpoint-none = Nothing is signed yet: look again in a few seconds.
checkpoint-refused = The log is not the one that was signed: somebody altered it. No further checkpoint is signed; this is the last one. Compare it with those that you kept.
checkpoint-keys = Public keys
history-versions-help = Move it to see what has changed since a version.
problem-validation = This cannot be right
problem-validation-remedy = A part of what was asked for is not what it should be. Go back, and choose again.
problem-invalid-cursor = This page is not there any more
problem-invalid-cursor-remedy = It went on from a list that you looked at before. Begin again at its first page.
problem-projection-behind = Not shown yet
problem-projection-behind-remedy = What was just recorded is still being prepared. Try again in a moment.
export-wrong = These are no two days, the first before the second.

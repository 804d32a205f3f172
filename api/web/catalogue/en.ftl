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
leave-unsaved = You have changes that are not saved.
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
sort-updatedAt = First changed first
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
clash = Somebody else changed the same
clash-help = { $name } saved while you were editing. Choose for each field what is to stay; everything else of yours is kept.
clash-base = Before
clash-theirs = Theirs, now
clash-yours = Yours
clash-save = Save my choice
clash-discard = Take all of theirs
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

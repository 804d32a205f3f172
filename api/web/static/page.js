// What every page has: forms without reloading, dialogs, menus, keys, and news of what others do.
import "./forms.js"
import "./menus.js"
import "./keys.js"
import "./palette.js"
import "./live.js"

// Times are shown in the reader's zone, from the next page on.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
if (zone && !document.cookie.includes(`dynamic_tables_zone=${zone}`)) {
  document.cookie = `dynamic_tables_zone=${zone}; path=/; max-age=31536000; samesite=lax`
}

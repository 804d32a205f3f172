// A new table that was not made: what was typed stays in this tab, and is offered when its form is opened again.
const KEY = `draft ${document.querySelector("meta[name=csrf]")?.dataset.who}`
const OURS = ["csrf", "once"]
let open, begun

const typed = form => JSON.stringify([...new FormData(form)].filter(([name]) => !OURS.includes(name)))

/** Keep what is typed into a form from now on, and offer what was kept. */
export function draft(form) {
  open = form
  begun = typed(form)
  form.addEventListener("sent", () => { open = undefined })
  const kept = sessionStorage.getItem(KEY), box = form.querySelector("[data-draft]")
  if (!kept) return
  const fields = new URLSearchParams(JSON.parse(kept)), over = () => { sessionStorage.removeItem(KEY); box.hidden = true }
  box.querySelector("span").textContent = box.dataset.draft.replace("{name}", fields.get("name") || "…")
  box.hidden = false
  box.querySelector("[data-drop-draft]").onclick = () => { over(); form.elements.name.focus() }
  box.querySelector("[data-take-draft]").onclick = () => { over(); fill(form, fields); form.elements.name.focus() }
}

function fill(form, fields) {
  for (const each of form.elements) {
    if (!each.name || each.type === "hidden" || OURS.includes(each.name)) continue
    if (each.matches("[type=radio], [type=checkbox]")) each.checked = fields.getAll(each.name).includes(each.value)
    else each.value = fields.get(each.name) ?? ""
    each.dispatchEvent(new Event("input", { bubbles: true }))
  }
  form.querySelector("details").open = Boolean(fields.get("slug") || fields.get("description"))
}

function keep() {
  if (!open?.isConnected) return
  const now = typed(open)
  if (now !== begun || open.querySelector(".error")) sessionStorage.setItem(KEY, now)
}

document.addEventListener("close", event => { if (event.target.contains(open ?? null)) keep() }, true)
window.addEventListener("pagehide", keep)

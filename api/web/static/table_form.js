// The form of a table: a slug that follows the name, a preview, and how much is not saved yet.
import { draft } from "./draft.js"
import { notice, text } from "./notices.js"
import { onPage, reachPage, show, visit } from "./shown.js"

const PAUSE = 200 // milliseconds after a key
const SLUG = /^[a-z0-9]+(-[a-z0-9]+)*$/
const SAMPLES = { name: "Ada Lovelace", date: () => new Date().toLocaleDateString(document.documentElement.lang) }

onPage(() => begin(document.querySelector("main")))

/** Begin with the form in a part of the page. */
export function begin(part) {
  const form = part.querySelector("[data-table-form]")
  if (!form || form.dataset.begun) return
  form.dataset.begun = "true"
  slugs(form)
  looks(form)
  sample(form)
  json(form)
  if (form.querySelector("[data-save]")) unsaved(form)
  if ("creating" in form.dataset) draft(form)
  if ("creating" in form.dataset && !form.closest("dialog")) form.elements.name.select()
}

function slugs(form) {
  const { name, slug } = form.elements, own = slug.defaultValue
  let touched = !("creating" in form.dataset) || own !== "", waiting, asked = 0
  const suggest = async wanted => {
    const response = await fetch(`/tables/slug?${new URLSearchParams({ name: wanted })}`).catch(() => undefined)
    return response?.ok ? (await response.json()).slug : ""
  }
  const soon = act => { clearTimeout(waiting); waiting = setTimeout(act, PAUSE) }
  const follow = async () => {
    const number = ++asked, free = name.value.trim() ? await suggest(name.value.trim()) : ""
    if (number !== asked || touched) return
    slug.value = free
    preview(form)
  }
  name.addEventListener("input", () => { preview(form); if (!touched) soon(follow) })
  slug.addEventListener("input", () => {
    touched = slug.value !== "" || !("creating" in form.dataset)
    preview(form)
    soon(touched ? () => check() : follow)
  })
  const check = async () => {
    const wanted = slug.value, number = ++asked
    if (wanted === own && own) return say(form, "", "")
    if (!SLUG.test(wanted)) return say(form, "bad", "wrong")
    const free = await suggest(wanted)
    if (number === asked) say(form, free === wanted ? "good" : "bad", free === wanted ? "free" : "taken", free === wanted ? "" : free)
  }
  // What nobody typed is left to the service, which finds a free one.
  form.addEventListener("formdata", event => { if (!touched) event.formData.set("slug", "") })
  for (const button of form.querySelectorAll("[data-take]")) {
    button.hidden = false
    button.onclick = () => take(form, button.dataset.take)
  }
  if (!touched && name.value) follow()
}

function say(form, tone, word, free = "") {
  const status = form.querySelector("#slug-status")
  status.className = `status ${tone}`
  status.textContent = word && status.dataset[word].replace("{slug}", form.elements.slug.value)
  if (!free) return
  const button = document.createElement("button")
  Object.assign(button, { type: "button", className: "link", textContent: free, onclick: () => take(form, free) })
  status.append(" → ", button)
}

function take(form, slug) {
  form.elements.slug.value = slug
  form.elements.slug.dispatchEvent(new Event("input", { bubbles: true }))
  form.elements.slug.focus()
}

function looks(form) {
  const { icon } = form.elements, picker = form.querySelector("[data-icons]")
  picker.hidden = icon.matches(":disabled")
  const mark = () => {
    const wanted = icon.value.trim().toLowerCase(), buttons = [...picker.children]
    const exact = buttons.some(button => button.dataset.icon === wanted)
    for (const button of buttons) {
      button.ariaPressed = String(button.dataset.icon === wanted)
      button.hidden = !exact && /^[a-z-]+$/.test(wanted) && !button.dataset.icon.includes(wanted)
    }
    preview(form)
  }
  picker.onclick = event => {
    const button = event.target.closest("[data-icon]")
    if (!button) return
    icon.value = icon.value === button.dataset.icon ? "" : button.dataset.icon
    icon.dispatchEvent(new Event("input", { bubbles: true }))
  }
  icon.addEventListener("input", mark)
  form.addEventListener("change", () => preview(form))
}

function preview(form) {
  const shown = form.querySelector("[data-preview]")
  if (!shown) return
  const { name, slug, icon, color } = form.elements
  shown.querySelector("strong").textContent = name.value
  shown.querySelector("small").textContent = slug.value
  const tile = shown.querySelector(".tile"), rect = tile.querySelector("rect")
  const swatch = form.querySelector(`.swatch:has([value="${color.value}"]) text`)
  rect.setAttribute("fill", color.value || "#6b7280")
  const on = swatch?.getAttribute("fill") ?? "#ffffff"
  const picked = form.querySelector(`[data-icon="${CSS.escape(icon.value)}"] svg`)
  for (const each of [...tile.children].slice(1)) each.remove()
  if (picked) {
    const drawn = picked.cloneNode(true)
    for (const [key, value] of Object.entries({ x: 8, y: 8, width: 20, height: 20, color: on })) drawn.setAttribute(key, value)
    tile.append(drawn)
  } else {
    const letter = document.createElementNS("http://www.w3.org/2000/svg", "text")
    for (const [key, value] of Object.entries({ x: 18, y: 18, "text-anchor": "middle", "dominant-baseline": "central", fill: on })) letter.setAttribute(key, value)
    letter.textContent = icon.value && icon.value.length <= 4 ? icon.value : (name.value.trim()[0] ?? "").toUpperCase()
    tile.append(letter)
  }
}

function sample(form) {
  const shown = form.querySelector("[data-sample]"), { recordNameFormat } = form.elements
  const fill = () => {
    shown.hidden = !recordNameFormat.value.trim()
    const value = key => (typeof SAMPLES[key] === "function" ? SAMPLES[key]() : SAMPLES[key] ?? key)
    shown.querySelector("output").textContent = recordNameFormat.value.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, key) => value(key))
  }
  recordNameFormat.addEventListener("input", fill)
  fill()
}

function json(form) {
  const { further } = form.elements
  further.addEventListener("input", () => {
    let fault = ""
    try {
      const value = JSON.parse(further.value.trim() || "{}")
      if (value === null || typeof value !== "object" || Array.isArray(value)) fault = further.dataset.json
    } catch (error) {
      fault = `${further.dataset.json} ${error.message}`
    }
    further.setAttribute("aria-invalid", String(Boolean(fault)))
    document.querySelector("#further-help").classList.toggle("error", Boolean(fault))
    if (fault) document.querySelector("#further-help").textContent = fault
  })
}

function unsaved(form) {
  const bar = form.querySelector("[data-save]"), said = bar.querySelector("p")
  const clashing = Boolean(document.querySelector(".clash")), refused = Boolean(form.querySelector("[aria-invalid=true]"))
  const values = form => {
    const found = new Map()
    for (const [name, value] of new FormData(form)) if (name !== "switch" && name !== "on" && !name.startsWith("pick:")) found.set(name, value)
    for (const each of form.querySelectorAll("[role=switch]")) found.set(`on ${each.value}`, each.checked)
    return found
  }
  const unchanged = form.cloneNode(true) // whoever was faster than this script has changed something
  unchanged.reset()
  const before = values(unchanged)
  const count = () => {
    const now = values(form)
    return [...now].filter(([name, value]) => before.get(name) !== value).length
  }
  let sent = false
  const shown = () => {
    const number = count()
    bar.hidden = !number && !refused // a clash has a button of its own
    said.textContent = number ? (number === 1 ? said.dataset.countOne : said.dataset.countOther).replace("{count}", number) : ""
  }
  form.addEventListener("input", shown)
  form.addEventListener("change", shown)
  form.addEventListener("sent", () => { sent = true })
  document.addEventListener("sent", event => { if (event.target.action === form.action) sent = true })
  bar.querySelector("[data-discard]").onclick = async event => {
    event.preventDefault()
    sent = true
    sent = await visit(form.getAttribute("action"), "replace")
  }
  window.onbeforeunload = event => {
    if (form.isConnected && !sent && form.unsaved()) event.preventDefault()
  }
  form.unsaved = () => count() || clashing || refused
  shown()
}

document.addEventListener("keydown", event => {
  if (!(event.ctrlKey || event.metaKey) || event.key !== "s") return
  const form = document.querySelector("dialog[open] [data-table-form], dialog[open] form[method=post]") ?? document.querySelector("main [data-table-form]")
  if (!form) return
  event.preventDefault()
  form.requestSubmit(form.querySelector("[data-default]") ?? undefined)
})

document.addEventListener("click", event => {
  const link = event.target.closest("a[href]"), form = document.querySelector("main [data-table-form]")
  if (!link || !form?.unsaved?.() || link.closest("dialog") || link.matches("[data-dialog], [data-discard]") || link.target) return
  if (!confirm(text("leave"))) event.preventDefault()
  else window.onbeforeunload = null
}, true)

// Somebody else changed this table: shown at once, unless that would lose what is not saved.
document.addEventListener("changed", async event => {
  const form = document.querySelector("main [data-table-form][data-id]")
  const isNew = each => each.tableId === form.dataset.id && each.version > form.elements.version.value
  if (!form || !event.detail?.some(isNew) || document.querySelector("main .then, dialog[open]")) return
  const fetched = form.unsaved?.() ? {} : await reachPage(location.href)
  if (!form.isConnected || fetched.problem || fetched.signedOut) return
  if (form.unsaved?.()) notice(text("changed-meanwhile"), { name: "live", stay: true }) // also what was typed meanwhile
  else if (fetched.page) show(fetched.page, fetched.at, "leave")
})

// Forms are sent without reloading, and links open dialogs; without scripts both are plain pages.
import { notice, reach, retract, text } from "./notices.js"
import { fetchPage, show, showNotices } from "./shown.js"

const token = () => document.querySelector("meta[name=csrf]")
const who = page => page.querySelector("meta[name=csrf]")?.dataset.who
const dialog = () => document.querySelector("#dialog")

document.addEventListener("submit", event => {
  const form = event.target, button = event.submitter
  if (form.method !== "post" || "plain" in form.dataset) return
  event.preventDefault()
  if (form.ariaBusy !== "true") send(form, button)
})

async function send(form, button) {
  const action = button?.getAttribute("formaction") ?? form.getAttribute("action")
  const body = new URLSearchParams(new FormData(form, button))
  form.ariaBusy = "true"
  try {
    let answered = await fetchPage(action, { method: "POST", body })
    if (answered.problem?.dataset.problem === "csrf" && await renewToken()) { // signed in anew in another tab
      body.set("csrf", token().content)
      answered = await fetchPage(action, { method: "POST", body })
    }
    await answer(form, button, answered)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    notice(text("not-sent"))
  } finally {
    form.ariaBusy = null
  }
}

async function renewToken() {
  const { page } = await fetchPage(location.href)
  const fresh = page.querySelector("meta[name=csrf]")?.content
  if (!fresh || fresh === token()?.content || who(page) !== who(document)) return false // nobody sends what another filled in
  token().content = fresh
  for (const field of document.querySelectorAll("input[name=csrf]")) field.value = fresh
  return true
}

async function answer(form, button, { page, at, signedOut, problem }) {
  if (signedOut && !location.pathname.startsWith("/sign-in") && form.getAttribute("action") !== "/sign-out") {
    notice(text("session-ended"), { name: "session" })
    return
  }
  if (problem) {
    const [title, remedy] = ["h1", "p"].map(part => problem.querySelector(part).textContent)
    const number = problem.dataset.problem === "internal" ? ` ${problem.querySelector(".fine").textContent}` : ""
    notice(`${title}. ${remedy}${number}`)
    return
  }
  const panel = page.querySelector("[data-panel]")
  if (panel && (form.closest("dialog") || button?.matches("[data-dialog]"))) {
    showNotices(page)
    await open(page, panel)
    return
  }
  retract("live")
  form.dispatchEvent(new CustomEvent("sent", { bubbles: true }))
  if (dialog()?.open) dialog().close()
  reach()
  await show(page, at, at.pathname + at.search === location.pathname + location.search ? "replace" : "push")
  const wrong = document.querySelector("main [aria-invalid=true]")
  const clash = document.querySelector("main .clash h2")
  const target = wrong ?? clash ?? document.querySelector("main [autofocus]") ?? document.querySelector("main")
  target.focus({ preventScroll: !wrong })
  if (!wrong) scrollTo(0, 0)
}

document.addEventListener("click", async event => {
  const link = event.target.closest("a[data-dialog], a[data-close]")
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return
  if ("close" in link.dataset) {
    if (!link.closest("dialog")) return
    event.preventDefault()
    if (mayLeave()) dialog().close()
    return
  }
  event.preventDefault()
  openLink(link)
})

// Labels find their fields by ids: a panel whose ids the page has as well is a page of its own.
const isThere = panel => [...panel.querySelectorAll("[id]")].some(({ id }) => document.querySelector(`main #${CSS.escape(id)}`))

/** Open the panel of the page behind a link as a dialog. */
export async function openLink(link) {
  const { page, signedOut, problem } = await fetchPage(link.href).catch(() => ({}))
  const panel = page?.querySelector("[data-panel]")
  if (!page) notice(text("not-sent"))
  else if (signedOut || problem || !panel || isThere(panel) || who(page) !== who(document)) location.assign(link.href)
  else await open(page, panel)
}

// What was typed into a dialog is not dropped by a slip; of a new table, a draft is kept.
let typed = false
const mayLeave = () => !typed || confirm(text("leave"))

function watch() {
  typed = false
  dialog().oninput = () => { typed = !dialog().querySelector("[data-draft]") }
  dialog().oncancel = event => { if (!mayLeave()) event.preventDefault() }
}

async function open(page, panel) {
  const notices = dialog().querySelector("#notices")
  dialog().replaceChildren(document.adoptNode(panel), ...(notices ? [notices] : []))
  const scripts = [...page.querySelectorAll("script[type=module][src]")]
  const modules = await Promise.all(scripts.map(script => import(script.getAttribute("src"))))
  if (!dialog().open) dialog().showModal()
  watch()
  reach()
  for (const each of modules) each.begin?.(dialog())
  const first = dialog().querySelector("[aria-invalid=true]") ?? dialog().querySelector("[autofocus]")
  first?.focus()
  if (first && "select" in first.dataset) first.select()
}

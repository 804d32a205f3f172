// Pages come whole from the server; scripts take the part they need, and begin anew with it.

const PATIENCE = 300 // milliseconds until a page says that it waits
const begun = []

/** Run `begin` for this page, and for each that is shown in its place. */
export function onPage(begin) {
  begun.push(begin)
  begin()
}

/** Fetch a page; its document, where it is, and whether it is a problem. */
export async function fetchPage(url, options = {}) {
  const slow = setTimeout(() => document.body.classList.add("waiting"), PATIENCE)
  try {
    return await read(await fetch(url, options))
  } finally {
    clearTimeout(slow)
    document.body.classList.remove("waiting")
  }
}

/** Fetch a page; nothing, and a word about it, while the network is away. */
export async function reachPage(url) {
  try {
    return await fetchPage(url)
  } catch (error) {
    return away(error)
  }
}

function away(error) {
  if (!(error instanceof TypeError)) throw error
  document.dispatchEvent(new CustomEvent("unreachable"))
  return {}
}

async function read(response) {
  const page = new DOMParser().parseFromString(await response.text(), "text/html")
  const at = new URL(response.url)
  return { page, at, signedOut: at.pathname === "/sign-in", problem: page.querySelector("[data-problem]") }
}

/** Show a page in place of this one. `history`: push, replace, or leave. */
export async function show(page, at, history = "push") {
  document.title = page.title
  const focused = document.activeElement
  for (const part of ["main", ".side"]) swap(part, page)
  for (const [name, value] of Object.entries(page.body.dataset)) document.body.dataset[name] = value
  const token = page.querySelector("meta[name=csrf]")
  if (token) document.querySelector("meta[name=csrf]")?.replaceWith(document.importNode(token))
  showNotices(page)
  if (history === "push") window.history.pushState(null, "", at)
  if (history === "replace") window.history.replaceState(null, "", at)
  const scripts = [...page.querySelectorAll("script[type=module][src]")]
  await Promise.all(scripts.map(script => import(script.getAttribute("src"))))
  for (const begin of begun) begin()
  if (!focused.isConnected && document.activeElement === document.body) again(focused)?.focus({ preventScroll: true })
}

/** What stands for a part that is shown no more; else the content. */
function again(gone) {
  const link = gone.getAttribute("href"), same = gone.id ? `#${CSS.escape(gone.id)}` : link && `.side a[href="${CSS.escape(link)}"]`
  return (same && document.querySelector(same)) ?? document.querySelector("main")
}

/** Show what a page says was just done. */
export function showNotices(page) {
  const notices = page.querySelectorAll("#notices > *")
  if (notices.length) document.querySelector("#notices").replaceChildren(...notices)
}

/** Go to a page without reloading; whether it could be reached. */
export async function visit(url, history = "push") {
  const { page, at } = await reachPage(url)
  if (page) await show(page, at, history)
  return Boolean(page)
}

function swap(selector, page) {
  const old = document.querySelector(selector), fresh = page.querySelector(selector)
  if (old && fresh) old.replaceWith(document.adoptNode(fresh))
}

// Back and forward; without a network, once it is there again.
async function follow() {
  if (!await visit(location.href, "leave")) window.addEventListener("online", follow, { once: true })
}
window.addEventListener("popstate", follow)

// The way to the content is no page of its own, which going back would fetch.
document.addEventListener("click", event => {
  if (!event.target.closest("a.skip")) return
  event.preventDefault()
  document.querySelector("main").focus()
})

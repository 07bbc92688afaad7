// The page is whole without this. It adds live numbers, a list that follows changes, and
// a search that answers while it is typed.
"use strict";

const parts = ["problems", "list", "recent"];
const byId = (id) => document.getElementById(id);
document.documentElement.classList.add("scripted");

// Numbers, written as the server writes them.
const grouped = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
const bytes = (n) => {
	if (n < 1024) return n + " B";
	let unit = -1;
	for (; n >= 1000 && unit < 5; unit++) n /= 1024;
	return (n < 10 ? n.toFixed(1) : n.toFixed(0)) + " " + "KMGTPE"[unit] + "iB";
};

function showNumbers(tick) {
	for (const el of document.querySelectorAll("[data-live]")) {
		const [group, name] = el.dataset.live.split(".");
		const text = el.dataset.unit ? bytes(tick[group][name]) : grouped(tick[group][name]);
		if (el.textContent === text) continue;
		el.textContent = text;
		el.classList.remove("fresh");
		void el.offsetWidth; // so that the animation begins again
		el.classList.add("fresh");
	}
}

// refresh asks for the page as it is now and takes over what has changed. What somebody
// is selecting text in stays until the next time.
let asking = null;
async function refresh(address) {
	if (asking) asking.abort();
	const mine = asking = new AbortController();
	try {
		const answer = await fetch(address, { signal: mine.signal, headers: { Accept: "text/html" } });
		if (!answer.ok) return;
		const next = new DOMParser().parseFromString(await answer.text(), "text/html");
		for (const id of parts) {
			const old = byId(id), now = next.getElementById(id);
			if (!now || old.innerHTML === now.innerHTML) continue;
			const selection = getSelection();
			if (!selection.isCollapsed && old.contains(selection.anchorNode)) continue;
			const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
			old.innerHTML = now.innerHTML;
			old.hidden = now.hidden;
			if (focused && byId(focused)) byId(focused).focus({ preventScroll: true });
		}
	} catch (err) {
		if (err.name !== "AbortError") lost();
	} finally {
		if (asking === mine) asking = null;
	}
}

// At most one refresh in two seconds, and none while nobody looks.
const pause = 2000;
let due = 0, timer = 0;
function stale() {
	if (timer || document.hidden) return;
	timer = setTimeout(() => {
		timer = 0;
		due = Date.now() + pause;
		refresh(location.href);
	}, Math.max(0, due - Date.now()));
}

// Live.
const live = byId("live");
const lost = () => { live.textContent = "Connection lost"; live.classList.add("lost"); };
let seen = null;
const events = new EventSource("/events");
events.onmessage = (event) => {
	const tick = JSON.parse(event.data);
	live.hidden = false;
	live.classList.remove("lost");
	if (live.textContent !== "Live") live.textContent = "Live";
	showNumbers(tick);
	const now = tick.index + " " + tick.requests;
	if (seen !== null && seen !== now) stale();
	seen = now;
};
events.onerror = () => { live.hidden = false; lost(); };
document.addEventListener("visibilitychange", () => { if (!document.hidden && seen !== null) stale(); });


// Search.
const search = byId("q");
let typing = 0;
function find() {
	const address = new URL(location.href), query = search.value.trim();
	if (query) address.searchParams.set("q", query); else address.searchParams.delete("q");
	address.searchParams.delete("page");
	history.replaceState(null, "", address);
	refresh(address);
}
search.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(find, 120); });
search.form.addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(typing); find(); });
document.addEventListener("keydown", (event) => {
	if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
		event.preventDefault();
		search.focus();
	}
});

// A page that is left gives its stream back; one that is come back to begins anew.
addEventListener("pagehide", () => events.close());
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

/* ui.js -- the few parts all pages are built of.
 *
 * Text shows what strangers wrote: in a bdi of its own, so that it cannot turn what stands beside it, and
 * with each sign that cannot be seen written out as ⟨U+202E⟩. A state is always a sign and a word; colour only helps.
 */
import { html, store, useEffect, useRef, useState } from "./base.js";
import { t, word } from "./words.js";
import * as f from "./format.js";

/* ---- what strangers wrote ---- */

/* Controls, marks without a width, what turns the direction of writing: page.c's list. */
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb\u{e0000}-\u{e0fff}]/u;
const HIDDEN_ALL = new RegExp("(" + HIDDEN.source + ")", "u");

export function Text({ value, lines }) {
	if (value === null || value === undefined || value === "")
		return html`<span class="none">–</span>`;
	const parts = String(value).split(HIDDEN_ALL);
	return html`<bdi class=${lines ? "pre" : undefined}>${parts.map((p, i) => {
		if (i % 2 === 0)
			return p;
		if (lines && (p === "\n" || p === "\t"))
			return p;
		if (lines && p === "\r")
			return "";
		return html`<span class="hid" title=${t("text.hidden")}>⟨U+${p.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩</span>`;
	})}</bdi>`;
}

export const Addresses = ({ list, max = 3 }) => {
	const all = list || [];
	return html`${all.slice(0, max).map((a, i) => html`${i ? ", " : ""}<${Text} value=${a}/>`)}${all.length > max &&
		html` <span class="quiet">${t("n.more", { n: all.length - max })}</span>`}${!all.length && html`<${Text}/>`}`;
};

export const Id = ({ id }) => (id ? html`<a class="id" href=${"#/messages/" + encodeURIComponent(id)}>${id}</a>` : html`<${Text}/>`);

export const Time = ({ value, seconds, relative }) => {
	const d = f.date(value);
	return d ? html`<time datetime=${d.toISOString()} title=${f.whole(value)}>${relative ? f.ago(value) : f.moment(value, seconds)}</time>` :
		html`<${Text}/>`;
};

/* ---- signs ---- */

const PATHS = {
	ok: "M3.5 8.5l3 3 6-7",
	bad: "M4 4l8 8M12 4l-8 8",
	warn: "M8 2.5L14.5 13.5H1.5zM8 6.5v3.2M8 11.6v.4",
	wait: "M8 4.5V8l2.5 1.5M8 1.8a6.2 6.2 0 1 1 0 12.4A6.2 6.2 0 0 1 8 1.8z",
	pause: "M5.5 3.5v9M10.5 3.5v9",
	info: "M8 7.2v4M8 4.6v.4M8 1.8a6.2 6.2 0 1 1 0 12.4A6.2 6.2 0 0 1 8 1.8z",
	box: "M2.5 5l5.5-2.8L13.5 5v6L8 13.8 2.5 11zM2.5 5L8 7.8 13.5 5M8 7.8v6",
	dash: "M3.5 8h9",
	menu: "M2 4h12M2 8h12M2 12h12",
	sun: "M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8L13 13M13 3l-1.2 1.2M4.2 11.8L3 13",
	moon: "M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7z",
	out: "M6 2.5H3v11h3M7 8h7M11 5l3 3-3 3",
	back: "M9.5 3.5L5 8l4.5 4.5",
	on: "M6.5 3.5L11 8l-4.5 4.5",
};
export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
	<path d=${PATHS[name] || PATHS.dash} fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round"/></svg>`;

/* What became of mail: its sign and its tone. */
const STATES = {
	"cond-held": "ok", "cond-failed": "bad", "cond-unasked": "dash", pending: "wait", sent: "ok", deliver: "ok", delivered: "ok", released: "ok", ok: "ok", enforce: "ok", active: "ok", ready: "ok", same: "ok", applied: "ok", allow: "ok", open: "wait",
	accepted: "info", operator: "info", note: "info", redirect: "info", off: "dash", discard: "dash", discarded: "dash", deleted: "dash", done: "dash", closed: "dash", none: "dash",
	deferred: "wait", defer: "wait", attempt: "wait", delayed: "wait", waiting: "wait", releasing: "wait", rejecting: "wait", shadow: "wait", queued: "wait", optional: "wait", publish: "wait", retired: "dash", wait: "wait",
	held: "pause", hold: "pause", paused: "pause", quarantine: "box", quarantined: "box", confirmed: "box", requested: "wait", over: "dash",
	failed: "bad", fail: "bad", rejected: "bad", reject: "bad", refused: "bad", bounced: "bad", expired: "bad", locked: "bad", wrong: "bad", "tls-failed": "bad", missing: "bad", block: "bad", down: "bad", error: "bad",
	spam: "warn", virus: "bad", ham: "ok", denied: "bad", removed: "dash", alarm: "warn", warning: "warn", differs: "warn", other: "warn",
};
const TONES = { ok: "ok", info: "plain", dash: "plain", wait: "warn", pause: "warn", box: "warn", warn: "warn", bad: "bad" };
export const tone = (state) => TONES[STATES[state]] || "plain";
export const State = ({ state, label }) => (state ? html`<span class=${"state " + tone(state)}><${Icon} name=${STATES[state]}/>${label ||
	word("state", state)}</span>` : html`<${Text}/>`);

/* ---- saying ---- */

const spoken = store({});
let flip = false;
/* To those who hear the page, and for a while to those who see it. undo: {until (microseconds), act}: a button beside it. */
export function say(text, undo) {
	flip = !flip;
	spoken.set({ text: text + (flip ? "\u00a0" : ""), undo });
}
export function Spoken() {
	const { text, undo } = spoken.use();
	useEffect(() => {
		const left = undo ? Math.max(1000, undo.until / 1000 - Date.now()) : 0;
		const timers = text ? [setTimeout(() => spoken.set({}), Math.max(8000, left)), undo && setTimeout(() => spoken.set({ text }), left)] : [];
		return () => timers.forEach(clearTimeout);
	}, [text, undo]);
	return html`<div class="spoken" role="status" aria-live="polite">${text && html`<p>${text}${undo && html` <button type="button" onClick=${() => {
		spoken.set({});
		undo.act();
	}}>${t("undo")}</button>`}</p>`}</div>`;
}

export const Notice = ({ kind = "info", title, children }) => html`<div class=${"notice " + kind} role=${kind === "bad" ? "alert" : undefined}>
	<${Icon} name=${kind}/><div>${title && html`<p class="strong">${title}</p>`}${children}</div></div>`;

/* An error, what to do about it, and the button that does it. */
export function Problem({ error, retry }) {
	const known = ["not-found", "forbidden", "invalid", "conflict", "busy", "csrf", "limit", "late", "network", "nonsense", "not-available", "login"];
	const code = known.includes(error.code) ? error.code : "fault";
	return html`<${Notice} kind=${code === "not-available" ? "info" : "bad"} title=${t("error." + code)}>
		<p>${t("error." + code + ".do")}</p>
		${error.message && html`<p class="quote"><${Text} value=${error.message}/></p>`}
		${retry && code !== "not-available" && html`<p><button type="button" onClick=${retry}>${t("again")}</button></p>`}
	<//>`;
}

export const problem_text = (e) => (e.message || t(`error.${e.code}`)).replace(HIDDEN_ALL, " ");

export const Empty = ({ title, children }) => html`<div class="empty"><p class="strong">${title}</p>${children && html`<p>${children}</p>`}</div>`;

/* The answer of useApi: waiting, trouble, or children(data). */
export function Loaded({ from, children }) {
	const { data, error, loading, reload } = from;
	return html`${error && html`<${Problem} error=${error} retry=${reload}/>`}
		${data ? children(data) : loading && html`<p class="loading" role="status">${t("loading")}</p>`}`;
}

/* ---- a page's head ---- */

/* plain: the title as a text, where it is more than one. */
export function Head({ title, plain, lead, children }) {
	const name = useRef();
	useEffect(() => {
		document.title = (plain ?? title) + " · Postern";
	}, [plain ?? title]);
	useEffect(() => {
		if (document.body.dataset.moved)
			name.current?.focus();
		delete document.body.dataset.moved;
	}, []);
	return html`<header class="head"><div><h1 tabindex="-1" ref=${name}>${title}</h1>${lead && html`<p class="quiet">${lead}</p>`}</div>
		${children && html`<div class="acts">${children}</div>`}</header>`;
}

export const Section = ({ title, children, level = 2, acts, kind }) => html`<section class=${kind}><div class="head2">${level === 2 ?
	html`<h2>${title}</h2>` : html`<h3>${title}</h3>`}${acts}</div>${children}</section>`;

/* ---- tables ---- */

const cell = (c, r) => (c.cell ? c.cell(r) : html`<${Text} value=${r[c.key]}/>`);

/* columns: {key, label, cell(row), num, tight, wide (long texts: a few lines of each), full (all lines), hide}; on a narrow page each row becomes a card, its roles said aloud
 * because display: block takes them away. chosen/choose: a Set of keys, for acts on many. */
export function Table({ caption, columns, rows, id, empty, chosen, choose, label }) {
	if (!rows.length)
		return empty || null;
	const key = id || ((r, i) => i);
	const all = chosen && rows.every((r) => chosen.has(key(r)));
	const toggle = (keys, on) => {
		const next = new Set(chosen);
		for (const k of keys)
			if (on)
				next.add(k);
			else
				next.delete(k);
		choose(next);
	};
	const shown = columns.filter((c) => c && !c.hide);
	return html`<div class="tablebox"><table role="table">
		<caption class="unseen">${caption}</caption>
		<thead role="rowgroup"><tr role="row">
			${chosen && html`<th role="columnheader" scope="col" class="pick"><label class="box"><input type="checkbox" checked=${all}
				onChange=${(e) => toggle(rows.map(key), e.target.checked)}/><span class="unseen">${t("choose.all")}</span></label></th>`}
			${shown.map((c) => html`<th role="columnheader" scope="col" class=${c.num ? "num" : undefined}>${c.label}</th>`)}
		</tr></thead>
		<tbody role="rowgroup">${rows.map((r, i) => html`<tr role="row" key=${key(r, i)} class=${chosen?.has(key(r)) ? "chosen" : undefined}>
			${chosen && html`<td role="cell" class="pick"><label class="box"><input type="checkbox" checked=${chosen.has(key(r))}
				onChange=${(e) => toggle([key(r)], e.target.checked)}/><span class="unseen">${t("choose.one", { name: label ? label(r) : key(r) })}</span></label></td>`}
			${shown.map((c) => html`<td role="cell" data-label=${c.label} class=${[c.num && "num", c.wide && "wide", c.tight && "tight"].filter(Boolean).join(" ") || undefined}>
				${c.wide && !c.full ? html`<div class="clip">${cell(c, r)}</div>` : cell(c, r)}</td>`)}
		</tr>`)}</tbody></table></div>`;
}

/* Names and values; those without a value are left out. */
export const Facts = ({ rows }) => html`<dl class="facts">${rows.filter((r) => r && r[1] !== null && r[1] !== undefined && r[1] !== "").map(([name, value]) =>
	html`<div><dt>${name}</dt><dd>${typeof value === "string" || typeof value === "number" ? html`<${Text} value=${value}/>` : value}</dd></div>`)}</dl>`;

export function Copy({ text }) {
	const [done, set] = useState(false);
	return html`<button type="button" class="small" onClick=${() => navigator.clipboard?.writeText(text).then(() => {
		set(true);
		say(t("copied"));
	}, () => say(t("copy.failed")))}>${done ? t("copied") : t("copy")}</button>`;
}

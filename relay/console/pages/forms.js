/* forms.js -- fields, questions and the acts behind them.
 *
 * ask({…}) shows one question in a dialog and waits: null when it was left, else {reason}.
 * act(f) runs a request, says what came of it, and tells whether it went well.
 */
import { html, store, useEffect, useId, useRef, useState } from "./base.js";
import { t } from "./words.js";
import { Icon, problem_text, say, Text } from "./ui.js";

export function Field({ label, hint, error, children, wide, ...rest }) {
	const id = useId();
	const said = [hint && id + "-h", error && id + "-e"].filter(Boolean).join(" ") || undefined;
	const props = { id, "aria-describedby": said, "aria-invalid": error ? "true" : undefined, ...rest };
	return html`<div class=${wide ? "field wide" : "field"}><label for=${id}>${label}</label>
		${children ? children(props) : html`<input ...${props}/>`}
		${hint && html`<p class="hint" id=${id + "-h"}>${hint}</p>`}
		${error && html`<p class="wrong" id=${id + "-e"}><${Icon} name="bad"/>${error}</p>`}</div>`;
}

/* options: [[value, text]…] */
export const Select = ({ label, options, value, onChange, hint }) => html`<${Field} label=${label} hint=${hint}>${(p) => html`<select ...${p}
	value=${value} onChange=${(e) => onChange(e.target.value)}>${options.map(([v, text]) => html`<option value=${v} selected=${v === value}>${text}</option>`)}</select>`}<//>`;

/* One field that searches when it is sent: the address then says it. */
export function Search({ label, value, onSearch, hint, children, placeholder }) {
	const field = useRef(), id = useId();
	const [text, set] = useState(value || "");
	useEffect(() => set(value || ""), [value]);
	return html`<form class="search" role="search" onSubmit=${(e) => {
		e.preventDefault();
		onSearch(text.trim());
	}}><${Field} label=${label} wide>${(p) => html`<input ...${p} ref=${field} type="search" aria-describedby=${hint ? id : undefined} name="q" value=${text} autocomplete="off" spellcheck="false"
		autocapitalize="off" placeholder=${placeholder} onInput=${(e) => set(e.target.value)}/>`}<//>
	${children}<button class="main">${t("search")}</button>${hint && html`<p class="hint" id=${id}>${hint}</p>`}</form>`;
}

/* Cursor paging: the newest, and what is older than the last shown. */
export const Pager = ({ data, query, link }) => (query.before || data.more) && html`<nav class="pager" aria-label=${t("pages")}>
	${query.before && html`<a class="button" href=${link({ ...query, before: undefined })}><${Icon} name="back"/>${t("newest")}</a>`}
	${data.more && data.next && html`<a class="button" href=${link({ ...query, before: data.next })}>${t("older")}<${Icon} name="on"/></a>`}</nav>`;

/* ---- questions ---- */

const question = store(null);

/* title, text; reason: "asked" | "needed" (its field: label); warn; ok: the button's word; danger */
export function ask(q) {
	return new Promise((done) => question.set({ ...q, done, from: document.activeElement }));
}

export function Questions() {
	const q = question.use(), dialog = useRef();
	const [reason, set] = useState(""), [wrong, mark] = useState(false);
	const heading = useId();
	useEffect(() => {
		if (!q)
			return;
		set("");
		mark(false);
		dialog.current.showModal();
	}, [q]);
	if (!q)
		return null;
	const leave = (value) => {
		dialog.current.close();
		question.set(null);
		q.done(value);
		q.from?.isConnected && q.from.focus();
	};
	const least = q.least || 1;
	return html`<dialog ref=${dialog} aria-labelledby=${heading} onCancel=${(e) => {
		e.preventDefault();
		leave(null);
	}}><form onSubmit=${(e) => {
		e.preventDefault();
		if (q.reason === "needed" && reason.trim().length < least)
			mark(true);
		else
			leave({ reason: reason.trim() });
	}}><h2 id=${heading}>${q.title}</h2>
		${q.text && html`<p>${q.text}</p>`}
		${q.list && html`<ul class="plainlist">${q.list.slice(0, 5).map((x) => html`<li><${Text} value=${x}/></li>`)}${q.list.length > 5 && html`<li class="quiet">${t("n.more", { n: q.list.length - 5 })}</li>`}</ul>`}
		${q.warn && html`<p class="strong"><${Icon} name="warn"/> ${q.warn}</p>`}
		${q.reason && html`<${Field} label=${q.label || t("reason")} hint=${q.hint} error=${wrong && t("reason.needed", { n: least })}>${(p) => html`<textarea ...${p} rows="3" maxlength="500"
			required=${q.reason === "needed" ? "required" : undefined} value=${reason} onInput=${(e) => set(e.target.value)}></textarea>`}<//>`}
		<div class="acts"><button type="button" onClick=${() => leave(null)}>${t("cancel")}</button>
		<button class=${q.danger ? "danger" : "main"} formnovalidate>${q.ok}</button></div></form></dialog>`;
}

/* ---- acts ---- */

export async function act(f, done) {
	try {
		const r = await f();
		if (done)
			say(typeof done === "function" ? done(r) : done);
		return r || true;
	} catch (e) {
		say(t("failed", { text: problem_text(e) }));
		return false;
	}
}

/* A button that cannot be pressed again while its work is done. */
export function Act({ onAct, children, kind, small, disabled, label }) {
	const [busy, set] = useState(false);
	const alive = useRef(true);
	useEffect(() => () => {
		alive.current = false;
	}, []);
	return html`<button type="button" class=${[kind, small && "small"].filter(Boolean).join(" ") || undefined} aria-label=${label}
		aria-disabled=${busy || disabled ? "true" : undefined} onClick=${async () => {
		if (busy || disabled)
			return;
		set(true);
		await onAct();
		alive.current && set(false);
	}}>${children}</button>`;
}

/* editor.js -- a change of the policy, in five steps: edit, check, test, compare with the last 7 days, apply.
 *
 * A step opens when the one before is done, and any letter typed later closes them again: what is applied is what was
 * checked. The draft stays in this browser's session until it is applied or thrown away. It says upon which policy it was
 * made (base): if that is no longer in force, the server refuses (conflict) and nobody's work is overwritten.
 */
import { html, href, useEffect, useRef, useState } from "./base.js";
import { may, seg, send, useApi } from "./api.js";
import { t } from "./words.js";
import { Empty, Facts, Icon, Loaded, Notice, Problem, Section, State, Table, Text, say } from "./ui.js";
import { Act, ask, Field } from "./forms.js";
import * as f from "./format.js";

const KEY = "postern.draft";
const STEPS = ["edit", "check", "test", "diff", "apply"];
const PAUSE = 700;	/* ms after the last letter, then it is checked */
const DAYS = 7;

const draft_load = () => {
	try {
		const d = JSON.parse(sessionStorage.getItem(KEY));
		return d && typeof d.files === "object" && d.files ? d : null;
	} catch {
		return null;
	}
};
const draft_save = (d) => {
	try {
		if (d)
			sessionStorage.setItem(KEY, JSON.stringify(d));
		else
			sessionStorage.removeItem(KEY);
	} catch {
		/* full or forbidden: the draft lives as long as the page */
	}
};

const offset = (text, line, column) => {
	const lines = text.split("\n");
	let at = 0;
	for (let i = 0; i < Math.min(line - 1, lines.length - 1); i++)
		at += lines[i].length + 1;
	return Math.min(text.length, at + Math.max(0, (column || 1) - 1));
};

/* The text with numbered lines; the numbers of lines with an error are underlined, and told below. */
function Area({ name, text, onInput, readonly, wrong, at }) {
	const field = useRef(), gutter = useRef();
	const lines = text.split("\n").length;
	useEffect(() => {
		if (!at)
			return;
		const e = field.current, o = offset(e.value, at.line, at.column);
		e.focus();
		e.setSelectionRange(o, o);
		e.scrollTop = Math.max(0, (at.line - 6) * parseFloat(getComputedStyle(e).lineHeight));
	}, [at]);
	const nth = [];
	for (let i = 1; i <= lines; i++)
		nth.push(wrong.has(i) ? html`<b>${i}</b>` : i, "\n");
	return html`<div class="editor"><pre aria-hidden="true" ref=${gutter}>${nth}</pre><textarea ref=${field} aria-label=${t("policy.text-of", { name })} value=${text} readonly=${readonly} wrap="off" spellcheck="false" autocapitalize="off" autocomplete="off"
		aria-invalid=${wrong.size ? "true" : undefined} aria-describedby="diags" onScroll=${(e) => {
		gutter.current.scrollTop = e.target.scrollTop;
	}} onInput=${(e) => onInput(e.target.value)}></textarea></div>`;
}

const Diags = ({ diags, onGo }) => html`<ul class="diags" id="diags">${diags.map((d) => html`<li><button type="button" onClick=${() => onGo(d)}><${State} state=${d.level}/><span><code><${Text} value=${d.file}/>:${d.line}:${d.column}</code> <${Text} value=${d.text}/>${d.hint && html` <span class="quiet">– <${Text} value=${d.hint}/></span>`}</span></button></li>`)}</ul>`;

const same = (a, b) => a === b || String(a).split("/").pop() === b;

function Steps({ at, failed }) {
	return html`<ol class="steps" aria-label=${t("policy.steps")}>${STEPS.map((s, i) => html`<li aria-current=${s === at ? "step" : undefined}>${i < STEPS.indexOf(at) ? html`<span class="ok"><${Icon} name="ok"/></span><span class="unseen">${t("policy.step.done")}</span>` : s === at && failed ? html`<span class="bad"><${Icon} name="bad"/></span>` : html`<span class="quiet">${i + 1}</span>`}${t("policy.step." + s)}</li>`)}</ol>`;
}

const Tested = ({ r }) => {
	const bad = r.failed > 0 || r.ok === false;
	return html`<div class="stack"><${Notice} kind=${bad ? "bad" : "ok"} title=${t(bad ? "policy.test.bad" : "policy.test.ok", { n: bad ? r.failed : r.passed })}/>${r.text && html`<div class="quote"><${Text} value=${r.text} lines/></div>`}</div>`;
};

const Diff = ({ r }) => {
	const sum = (r.items || []).find((x) => typeof x.messages === "number") || {};
	const rows = (r.items || []).filter((x) => typeof x.id === "string" && (x.newly || x.gone || x.unknown));
	const turned = Object.entries(sum.newly || {}).filter(([, n]) => n > 0);
	return html`<div class="stack"><p>${t("policy.diff.sum", { n: sum.changed ?? 0, of: sum.messages ?? 0, days: DAYS })}${sum.cannot_be_replayed > 0 && html` <span class="quiet">${t("policy.diff.cannot", { n: sum.cannot_be_replayed })}</span>`}</p>
		${turned.length > 0 && html`<ul class="legend">${turned.map(([o, n]) => html`<li><${State} state=${o === "release" ? "deliver" : o}/> <span class="strong">${f.number(n)}</span></li>`)}</ul>`}
		<${Table} caption=${t("policy.step.diff")} rows=${rows} id=${(x) => x.id} empty=${html`<${Notice} kind="ok" title=${t("policy.diff.none")}/>`} columns=${[
		{ label: t("rule"), wide: true, cell: (x) => html`<${Text} value=${x.id}/>` }, { label: t("policy.mode"), tight: true, cell: (x) => html`<${State} state=${x.mode}/>` }, { label: t("policy.diff.was"), num: true, cell: (x) => f.number(x.was) },
		{ label: t("policy.diff.would"), num: true, cell: (x) => f.number(x.would) }, { label: t("policy.diff.newly"), num: true, cell: (x) => f.number(x.newly) }, { label: t("policy.diff.gone"), num: true, cell: (x) => f.number(x.gone) }]}/></div>`;
};

function Work({ name, original, hash, line }) {
	const kept = draft_load();
	const [files, files_set] = useState(kept?.files || {});
	const [base] = useState(kept?.base || hash);
	const [at, at_set] = useState(line ? { line, column: 1 } : null);
	const [checked, checked_set] = useState(null), [tested, tested_set] = useState(null), [compared, compared_set] = useState(null), [error, fail] = useState(null), [message, message_set] = useState("");
	const timer = useRef(), round = useRef(0);
	const text = files[name] ?? original, editor = may("act:policy"), changed = Object.keys(files).length > 0;
	const reset = () => {
		round.current++;
		checked_set(null);
		tested_set(null);
		compared_set(null);
		fail(null);
	};
	const check = async (with_files, quiet) => {
		const mine = ++round.current;
		clearTimeout(timer.current);
		try {
			const r = await send("POST", "/policy/check", { files: with_files });
			if (mine !== round.current)
				return;
			checked_set(r);
			fail(null);
			const n = (r.diags || []).filter((d) => d.level === "error").length;
			if (!quiet || !r.ok)
				say(r.ok ? t("policy.check.ok") : t("policy.check.bad", { n }));
		} catch (e) {
			if (mine === round.current)
				fail({ step: "check", e });
		}
	};
	const change = (value) => {
		const next = { ...files, [name]: value };
		if (value === original)
			delete next[name];
		files_set(next);
		draft_save(Object.keys(next).length ? { base, files: next } : null);
		reset();
		clearTimeout(timer.current);
		if (Object.keys(next).length)
			timer.current = setTimeout(() => check(next, true), PAUSE);
	};
	useEffect(() => () => clearTimeout(timer.current), []);
	const run = async (step, set, path, body) => {
		const mine = round.current;
		try {
			const r = await send("POST", path, body, { patience: 300000 });
			if (mine === round.current) {
				set(r);
				fail(null);
			}
		} catch (e) {
			if (mine === round.current)
				fail({ step, e });
		}
	};
	const test_ok = tested && !(tested.failed > 0) && tested.ok !== false;
	const step = !changed ? "edit" : !checked?.ok ? "check" : !test_ok ? "test" : !compared ? "diff" : "apply";
	const diags = checked?.diags || [];
	const wrong = new Set(diags.filter((d) => d.level === "error" && same(d.file, name)).map((d) => d.line));
	const throw_away = async () => {
		if (await ask({ title: t("policy.discard.ask"), list: Object.keys(files), ok: t("policy.discard"), danger: true })) {
			files_set({});
			draft_save(null);
			reset();
		}
	};
	const apply = async (e) => {
		e.preventDefault();
		if (!message.trim() || step !== "apply")
			return;
		try {
			await send("POST", "/policy/apply", { files, message: message.trim(), base });
			draft_save(null);
			say(t("policy.applied"));
			location.hash = href(["policy"]);
		} catch (x) {
			fail({ step: "apply", e: x });
		}
	};
	return html`${editor && html`<${Steps} at=${step} failed=${error?.step === step || (step === "check" && checked && !checked.ok) || (step === "test" && tested && !test_ok)}/>`}
	<${Area} name=${name} text=${text} onInput=${change} readonly=${!editor} wrong=${wrong} at=${at}/>
	${!editor && html`<p class="quiet">${t("policy.readonly")}</p>`}
	${editor && html`<div class="stack">
		${diags.length > 0 && html`<${Diags} diags=${diags} onGo=${(d) => (same(d.file, name) ? at_set({ ...d }) : d.file && (location.hash = href(["policy", "files", String(d.file).split("/").pop()], { line: d.line })))}/>`}
		${checked?.ok && step !== "edit" && html`<${Notice} kind="ok" title=${t("policy.check.ok")}/>`}
		${error && html`<${Problem} error=${error.e}/>${error.e.code === "not-available" && html`<p class="quiet small">${t("policy.cli")} <code>postern ${error.step === "apply" ? "reload" : error.step === "diff" ? `diff --last ${DAYS}d` : error.step} policy.d</code></p>`}`}
		${tested && html`<${Tested} r=${tested}/>`}${compared && html`<${Section} title=${t("policy.step.diff")}><${Diff} r=${compared}/><//>`}
		<div class="acts">
			<${Act} kind=${step === "check" ? "main" : undefined} disabled=${!changed} onAct=${() => check(files)}>${t("policy.step.check")}<//>
			<${Act} kind=${step === "test" ? "main" : undefined} disabled=${!checked?.ok} onAct=${() => run("test", tested_set, "/policy/test", { files })}>${t("policy.step.test")}<//>
			<${Act} kind=${step === "diff" ? "main" : undefined} disabled=${!test_ok} onAct=${() => run("diff", compared_set, "/policy/diff", { files, days: DAYS })}>${t("policy.step.diff")}<//>
			<button type="button" class="danger" aria-disabled=${changed ? undefined : "true"} onClick=${() => changed && throw_away()}>${t("policy.discard")}</button>
		</div>
		${step === "apply" && html`<form class="card form" onSubmit=${apply}><${Field} label=${t("policy.message")} hint=${t("policy.message.hint")} required maxlength="300" value=${message} onInput=${(e) => message_set(e.target.value)}/>
			<${Facts} rows=${[[t("policy.files"), Object.keys(files).join(", ")], [t("policy.base"), base]]}/><div class="acts"><button class="main">${t("policy.step.apply")}</button></div></form>`}
		${!changed && html`<p class="quiet small">${t("policy.edit.begin")}</p>`}</div>`}`;
}

function File({ name, line }) {
	const file = useApi("/policy/files/" + seg(name));
	return html`<${Section} title=${html`<${Text} value=${name}/>`} acts=${html`<a class="button" href=${href(["policy", "files"])}>${t("policy.files.all")}</a>`}><div class="stack"><${Loaded} from=${file}>${(d) =>
		html`<${Work} key=${name} name=${name} original=${d.text ?? ""} hash=${d.hash} line=${line}/>`}<//></div><//>`;
}

export function Editor({ name, line }) {
	const from = useApi(name ? null : "/policy/files");
	const kept = draft_load();
	if (name)
		return html`<${File} key=${name + line} name=${name} line=${line}/>`;
	return html`${kept && html`<${Notice} kind="warn" title=${t("policy.draft")}><p>${Object.keys(kept.files).map((n) => html`<a href=${href(["policy", "files", n])}><${Text} value=${n}/></a> `)}</p><//>`}
	<${Loaded} from=${from}>${(d) => html`${d.writable === false && may("act:policy") && html`<${Notice} kind="warn" title=${t("policy.not-writable")}><p>${t("policy.not-writable.do")}</p><//>`}<${Table} caption=${t("policy.files")} rows=${d.items || d.files || []} empty=${html`<${Empty} title=${t("policy.files.none")}/>`} columns=${[
		{ label: t("name"), wide: true, cell: (x) => html`<a href=${href(["policy", "files", x.name || x])}><${Text} value=${x.name || x}/></a>` }, { label: t("size"), num: true, cell: (x) => f.size(x.size) }]}/>`}<//>`;
}

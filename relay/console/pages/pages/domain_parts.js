/* domain_parts.js -- what stands on the page of a domain beside its DNS plan: the way to it step by step, its keys, what is done with
 * spam, and a look at the servers behind us.
 */
import { html, href, useState } from "../base.js";
import { may, send, seg, useApi } from "../api.js";
import { t, word } from "../words.js";
import { Copy, Empty, Facts, Loaded, Notice, Section, State, Table, Text, Time } from "../ui.js";
import { Act, act } from "../forms.js";
import * as f from "../format.js";

/* "10.1.2.3:25", "[2001:db8::1]:25" or a name; null: no server. */
export function server_of(text) {
	const m = /^(.+):(\d+)$/.exec(text);
	return m && { text, host: m[1].replace(/^\[|\]$/g, ""), port: Number(m[2]) };
}

/* ---- the way to it ---- */

const WANTING = ["missing", "differs", "wrong", "bad", "error"];

/* A step: [what, "ok" | "missing" | "wait" | "note", what stands there]. Nothing known yet: the state is null. */
function steps(x, plan, keys, seen) {
	const lines = plan && plan.filter((r) => !r.optional), wrong = lines && lines.filter((r) => WANTING.includes(r.verdict));
	const active = keys && keys.find((k) => k.state === "active" && !k.trouble), coming = keys && keys.find((k) => k.state === "publish");
	const servers = (x.deliver_to || []).map(server_of).filter(Boolean), looked = servers.map((s) => seen[s.text]).filter(Boolean);
	const fine = looked.filter((r) => r.ok).length;
	return [
		["route", x.deliver_to?.length ? "ok" : "note", x.deliver_to?.length ? f.list(x.deliver_to) : t("domains.step.route.mx")],
		["recipients", x.recipients === "any" ? "differs" : "ok", t("domains.step.recipients." + (x.recipients === "any" ? "any" : "known"))],
		["key", !keys ? null : active ? "ok" : coming ? "wait" : "missing", !keys ? "" : active ? active.selector : coming ? t("domains.step.key.coming", { selector: coming.selector }) : t("domains.step.key.none")],
		["dns", !lines ? null : wrong.length ? "missing" : lines.length ? "ok" : "note", !lines ? "" : t("domains.step.dns.said", { n: lines.length - wrong.length, of: lines.length })],
		["letter", !lines ? null : wrong.length ? "wait" : "ok", !lines ? "" : t("domains.step.letter." + (wrong.length ? "send" : "done"))],
		["check", !servers.length ? "note" : looked.length < servers.length ? "wait" : fine === servers.length ? "ok" : "wrong",
			!servers.length ? t("domains.step.check.mx") : t("domains.step.check.said", { n: fine, of: servers.length })],
	];
}

export function Steps({ x, plan, keys, seen }) {
	return html`<${Section} title=${t("domains.steps")} kind="steps"><p class="quiet small">${t("domains.steps.what")}</p><${Table} caption=${t("domains.steps")} rows=${steps(x, plan, keys, seen)} id=${(r) => r[0]} columns=${[
		{ label: t("state"), tight: true, cell: (r) => html`<${State} state=${r[1]} label=${r[1] && t("domains.step.is." + (r[1] === "ok" ? "done" : r[1] === "note" ? "none" : r[1] === "wait" ? "wait" : "todo"))}/>` },
		{ label: t("domains.step"), cell: (r) => html`<span class="strong">${t("domains.step." + r[0])}</span>` },
		{ label: t("domains.step.now"), wide: true, full: true, cell: (r) => html`<${Text} value=${r[2]}/>` }]}/><//>`;
}

/* ---- keys ---- */

export function Keys({ from, domain }) {
	return html`<${Section} title=${t("domains.keys")} kind="keys"><p class="quiet small">${t("domains.keys.what")}</p><${Loaded} from=${from}>${(d) => html`<${Table} caption=${t("domains.keys")} rows=${d.items || []} id=${(k) => k.selector}
		empty=${html`<${Empty} title=${t("domains.keys.none")}><code>postern dkim new <${Text} value=${domain}/></code><//>`} columns=${[
		{ label: t("state"), tight: true, cell: (k) => html`<${State} state=${k.trouble ? "wrong" : k.state} label=${!k.trouble && word("key", k.state)}/>` },
		{ label: t("domains.selector"), cell: (k) => html`<code><${Text} value=${k.selector}/></code>` }, { label: t("domains.algorithm"), cell: (k) => word("key", k.algorithm) },
		{ label: t("domains.managed"), cell: (k) => t(k.managed ? "domains.managed.yes" : "domains.managed.no") },
		{ label: t("domains.since"), tight: true, cell: (k) => (k.managed ? html`<${Time} value=${k.since}/>` : html`<${Text}/>`) }, { label: t("domains.leaves"), tight: true, cell: (k) => (k.leaves ? html`<${Time} value=${k.leaves}/>` : html`<${Text}/>`) },
		{ label: t("domains.record"), wide: true, full: true, cell: (k) => (k.trouble ? html`<${Text} value=${k.trouble}/>` : html`<div class="stack"><code><${Text} value=${k.record}/></code><div><${Copy} text=${String(k.record ?? "")}/></div></div>`) }]}/>`}<//><//>`;
}

/* ---- spam ---- */

const short = (file) => String(file || "").replace(/^.*\//, "");

export function Spam({ domain }) {
	const from = useApi(`/domains/${seg(domain)}/spam`);
	return html`<${Section} title=${t("domain.spam")} kind="spam"><p class="quiet small">${t("domains.spam.what")}</p><${Loaded} from=${from}>${(d) => (!d.on ? html`<${Empty} title=${t("domains.spam.off")}>${t("domains.spam.off.do")}<//>` : html`<div class="stack">
		<div class="card"><${Facts} rows=${[[t("domains.spam.profile"), d.profile], [t("domains.spam.by"), d.by === "default" ? t("domains.spam.default") : d.by], [t("domains.spam.source"), word("spam-source", d.source)], [t("domains.spam.checks"), f.number(d.checks)]]}/></div>
		<${Table} caption=${t("domain.spam")} rows=${d.classes || []} id=${(c) => c.class} columns=${[{ label: t("kept.class"), cell: (c) => html`<span class="strong">${word("spam-class", c.class)}</span>` },
			{ label: t("domains.spam.tests"), cell: (c) => html`<code><${Text} value=${c.tests}/></code>` }, { label: t("policy.then"), cell: (c) => word("spam-act", c.action) }]}/>
		${(d.addresses || []).length > 0 && html`<div><h3>${t("domains.spam.addresses")}</h3><ul class="plainlist">${d.addresses.map((a) => html`<li><${Text} value=${a.address}/>: <${Text} value=${a.profile}/></li>`)}${d.addresses_more && html`<li class="quiet">…</li>`}</ul></div>`}
		${may("policy") && d.file && html`<div><a class="button" href=${href(["policy", "files", short(d.file)], { line: d.line })}>${t(may("act:policy") ? "policy.edit" : "policy.read")}: <${Text} value=${short(d.file)}/>:${d.line}</a></div>`}</div>`)}<//><//>`;
}

/* ---- servers behind us ---- */

const until = (c) => (c ? html`<span><${Text} value=${c.subject}/>, ${t("domains.probe.until")} <${Time} value=${c.not_after}/> ${c.verified ? "" : html`(<${Text} value=${c.why}/>)`}</span>` : null);

function Seen({ r }) {
	return html`<div class="card stack"><div class="head2"><h3><${Text} value=${r.host + ":" + r.port}/></h3><${State} state=${r.ok ? "ok" : "failed"}/></div>${r.error && html`<${Notice} kind="bad" title=${t("domains.probe.failed")}><p class="quote"><${Text} value=${r.error}/></p><//>`}
		<${Facts} rows=${[[t("domains.probe.address"), r.address], [t("domains.probe.banner"), r.banner], ["TLS", r.tls || (r.ok ? t("no") : null)], [t("domains.probe.certificate"), until(r.certificate)], [t("domains.probe.extensions"), (r.extensions || []).join(", ")]]}/>
		${(r.steps || []).length > 0 && html`<${Table} caption=${t("domains.probe.steps")} rows=${r.steps} columns=${[{ label: t("domains.step"), tight: true, cell: (s) => html`<${Text} value=${s.step}/>` }, { label: "ms", num: true, cell: (s) => f.number(s.ms) }, { label: t("live.reply"), wide: true, cell: (s) => html`<${Text} value=${s.said}/>` }]}/>`}</div>`;
}

export function Probe({ x, seen, see }) {
	const servers = (x.deliver_to || []).map(server_of).filter(Boolean);
	return html`<${Section} title=${t("domains.probe")} kind="probe"><p class="quiet small">${t("domains.probe.what")}</p>${!servers.length ? html`<${Empty} title=${t("domains.probe.none")}/>` : html`<div class="stack">
		${may("act:probe") ? html`<div class="acts">${servers.map((s) => html`<${Act} onAct=${async () => {
			const r = await act(() => send("POST", "/probe", { host: s.host, port: s.port }, { patience: 60000 }), (r) => t(r.ok ? "domains.probe.fine" : "domains.probe.failed"));
			r && see(s.text, r);
		}}>${t("domains.probe.ask")} <${Text} value=${s.text}/><//>`)}</div>` : html`<p class="quiet">${t("domains.probe.not-yours")}</p>`}
		${servers.map((s) => seen[s.text] && html`<${Seen} key=${s.text} r=${seen[s.text]}/>`)}</div>`}<//>`;
}

export function useSeen() {
	const [seen, set] = useState({});
	return [seen, (key, r) => set((s) => ({ ...s, [key]: r }))];
}

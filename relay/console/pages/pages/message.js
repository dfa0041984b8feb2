/* message.js -- one message: what happened to it for each recipient, word for word, and why. */
import { html, href } from "../base.js";
import { may, seg, useApi } from "../api.js";
import { t, word } from "../words.js";
import { Copy, Facts, Head, Icon, Id, Loaded, Section, State, Text, Time, tone } from "../ui.js";
import { Explain } from "../explain.js";
import { Fate } from "./trace.js";
import * as f from "../format.js";

const SIGN = { ok: "ok", warn: "wait", bad: "bad", plain: "info" };

function Event({ e }) {
	const k = tone(e.kind);
	return html`<li><span class=${"dot " + k}><${Icon} name=${SIGN[k]}/></span>
		<div class="what"><${Time} value=${e.time} seconds/><span class="strong">${word("state", e.kind)}</span>
			${e.outcome && e.outcome !== e.kind && html`<span class="quiet">${word("state", e.outcome)}</span>`}
			${e.relay && e.relay !== "none" && html`<span>${t("via")} <${Text} value=${e.relay}/></span>`}
			${e.dsn && html`<code>${e.dsn}</code>`}
			${e.tls && html`<span class="tag"><${Text} value=${e.tls}/></span>`}
			${e.by && html`<span>${t("by")} <${Text} value=${e.by}/></span>`}
			${e.parent && html`<${Id} id=${e.parent}/>`}</div>
		${e.reply && (e.kind === "attempt" ? html`<details><summary>${t("message.dialogue")}</summary><span class="reply"><${Text} value=${e.reply} lines/></span></details>` :
			html`<span class="reply"><${Text} value=${e.reply} lines/></span>`)}</li>`;
}

/* Of one recipient: its own events, and those that are of all. */
function Recipient({ r, events }) {
	const mine = events.filter((e) => !e.rcpt || e.rcpt === r.address);
	return html`<section class="card stack"><div class="head2"><h3><${Text} value=${r.address}/></h3><${State} state=${r.status || r.outcome}/></div>
		<ol class="line">${mine.map((e) => html`<${Event} e=${e}/>`)}</ol>
		${r.attempts > 0 && html`<p class="quiet small">${t("n.attempts", { n: r.attempts })}</p>`}</section>`;
}

export default function Message({ path }) {
	const from = useApi("/messages/" + seg(path[1] || ""));
	return html`<${Head} plain=${t("message") + " " + path[1]} title=${html`${t("message")} <span class="id">${path[1]}</span>`}><${Copy} text=${path[1] || ""}/>
		${may("queue") && html`<a class="button" href=${href(["queue"], { show: path[1] })}>${t("message.queue")}</a>`}<//>
	<${Loaded} from=${from}>${(d) => {
		const m = d.message || d, events = d.events || m.events || [], list = m.recipients || [];
		const known = new Set(list.map((r) => r.address));
		const rest = events.filter((e) => e.rcpt && !known.has(e.rcpt));
		return html`<section class="card stack"><p class="strong"><${Text} value=${m.subject}/></p><${Facts} rows=${[
			[t("state"), html`<${Fate} message=${m}/>`], [t("received"), html`<${Time} value=${m.time} seconds/>`],
			[t("from"), m.sender === "" ? t("null-sender") : m.sender], [t("direction"), word("direction", m.direction)],
			[t("client"), m.client && html`<${Text} value=${m.client}/> ${m.client_name && html`<span class="quiet">(<${Text} value=${m.client_name}/>)</span>`}`], [t("helo"), m.helo], [t("account"), m.user],
			["TLS", m.tls], [t("listener"), m.listener], [t("size"), f.size(m.size)], [t("parent"), m.parent && html`<${Id} id=${m.parent}/>`]]}/></section>
		<${Section} title=${t("n.recipients", { n: list.length })}><div class="two">${list.map((r) => html`<${Recipient} key=${r.address} r=${r} events=${events}/>`)}</div><//>
		${rest.length > 0 && html`<${Section} title=${t("message.more-events")}><ol class="line">${rest.map((e) => html`<${Event} e=${e}/>`)}</ol><//>`}
		<${Section} title=${t("explain.why")}>${d.explain ? html`<${Explain} record=${d.explain}/>` : html`<p class="quiet">${t("explain.none")}</p>`}<//>`;
	}}<//>`;
}

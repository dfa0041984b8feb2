/* domains.js -- our domains: what they want, what their DNS should say and what it says, the letter to who runs it. */
import { html, href, useState } from "../base.js";
import { seg, useApi } from "../api.js";
import { language, LANGUAGES, t, word } from "../words.js";
import { Copy, Empty, Facts, Head, Loaded, Section, State, Table, Text } from "../ui.js";
import { Select } from "../forms.js";
import { Keys, Probe, Spam, Steps, useSeen } from "./domain_parts.js";

const flat = (v) => (v === null || v === undefined ? null : Array.isArray(v) ? v.map(flat).join(", ") : typeof v === "object" ? Object.entries(v).map(([k, x]) => `${k} ${flat(x)}`).join(", ") : typeof v === "boolean" ? t(v ? "yes" : "no") : String(v));
/* What the DNS said, else why that is not known. */
const said = (r) => flat(r.seen && r.seen.length ? r.seen : r.detail);
const seen = (r) => r.verdict || r.state || (r.seen === undefined ? "none" : r.seen === r.value ? "ok" : r.seen ? "differs" : r.optional ? "optional" : "missing");

function Plan({ from }) {
	return html`<${Section} title=${t("domains.dns")} acts=${html`<button type="button" class="small" onClick=${from.reload}>${t("domains.look-again")}</button>`}><p class="quiet small">${t("domains.dns.what")}</p>
	<${Loaded} from=${from}>${(d) => html`<${Table} caption=${t("domains.dns")} rows=${d.items || []} empty=${html`<${Empty} title=${t("domains.dns.none")}/>`} columns=${[
		{ label: t("state"), tight: true, cell: (r) => html`<${State} state=${seen(r)}/>` }, { label: t("domains.topic"), cell: (r) => html`<span class="strong"><${Text} value=${(r.topic || "").toUpperCase()}/></span>` },
		{ label: t("name"), wide: true, full: true, cell: (r) => html`<code><${Text} value=${r.name}/></code>` }, { label: t("type"), key: "type" },
		{ label: t("domains.wanted"), wide: true, full: true, cell: (r) => html`<div class="stack"><code><${Text} value=${r.value}/></code><div><${Copy} text=${String(r.value ?? "")}/></div></div>` },
		{ label: t("domains.seen"), wide: true, full: true, cell: (r) => html`<div class="stack"><code><${Text} value=${said(r)}/></code>${(r.resolvers || []).map((v) => html`<div><${State} state=${v.verdict}/> <span class="quiet"><${Text} value=${v.resolver}/></span> <code><${Text} value=${said(v)}/></code></div>`)}</div>` },
	]}/>`}<//><//>`;
}

/* The letter alone: style.css leaves out all else while the page is marked so. */
function print_letter() {
	document.body.dataset.print = "letter";
	addEventListener("afterprint", () => delete document.body.dataset.print, { once: true });
	print();
}

function Letter({ domain }) {
	const [code, set] = useState(language.get()), [open, show] = useState(false);
	const from = useApi(open ? `/domains/${seg(domain)}/letter` : null, { language: code });
	return html`<${Section} title=${t("domains.letter")} kind="letter"><p class="quiet small screen">${t("domains.letter.what")}</p>${!open ? html`<button type="button" onClick=${() => show(true)}>${t("domains.letter.show")}</button>` : html`<div class="stack"><div class="filters screen"><${Select} label=${t("language")} value=${code} options=${Object.entries(LANGUAGES)} onChange=${set}/></div>
		<${Loaded} from=${from}>${(d) => html`<div class="stack"><div class="acts"><${Copy} text=${d.text || d.letter || ""}/><button type="button" class="small" onClick=${print_letter}>${t("print")}</button></div><div class="safetext" tabindex="0" role="region" aria-label=${t("domains.letter")} lang=${code}><${Text} value=${d.text || d.letter} lines/></div></div>`}<//></div>`}<//>`;
}

function One({ domain }) {
	const from = useApi("/domains/" + seg(domain)), plan = useApi(`/domains/${seg(domain)}/dns`), keys = useApi(`/domains/${seg(domain)}/keys`);
	const [seen, see] = useSeen();
	return html`<${Loaded} from=${from}>${(d) => {
		const x = d.item || d.domain_profile || d;
		return html`<section class="card"><${Facts} rows=${Object.entries(x).filter(([k, v]) => k !== "v" && v !== null && v !== "").map(([k, v]) => [word("domain", k).replace(/_/g, " "), flat(v)])}/></section>
		<${Steps} x=${x} plan=${plan.data?.items} keys=${keys.data?.items} seen=${seen}/>`;
	}}<//><${Plan} from=${plan}/><${Keys} from=${keys} domain=${domain}/><${Letter} domain=${domain}/><${Spam} domain=${domain}/>${from.data && html`<${Probe} x=${from.data.item || from.data} seen=${seen} see=${see}/>`}`;
}

function List() {
	const from = useApi("/domains");
	return html`<${Loaded} from=${from}>${(d) => html`<${Table} caption=${t("nav.domains")} rows=${d.items || []} id=${(x) => x.domain || x.name} empty=${html`<${Empty} title=${t("domains.none")}>${t("domains.none.do")}<//>`} columns=${[
		{ label: t("domain"), wide: true, cell: (x) => html`<a href=${href(["domains", x.domain || x.name])}><${Text} value=${x.domain || x.name}/></a>` },
		{ label: t("domain.deliver_to"), wide: true, cell: (x) => html`<${Text} value=${flat(x.deliver_to)}/>` },
		{ label: t("domain.recipients"), cell: (x) => html`<${Text} value=${flat(x.recipients)}/>` },
		{ label: t("domain.dkim"), cell: (x) => html`<${Text} value=${Array.isArray(x.dkim) ? x.dkim.map((k) => k.selector || k).join(", ") : flat(x.dkim)}/>` },
	]}/>`}<//>`;
}

export default ({ path }) => html`<${Head} plain=${path[1] || t("nav.domains")} title=${path[1] ? html`<${Text} value=${path[1]}/>` : t("nav.domains")} lead=${t("domains.lead")}>${path[1] && html`<a class="button" href="#/domains">${t("back")}</a>`}<//>
	${path[1] ? html`<${One} key=${path[1]} domain=${path[1]}/>` : html`<${List}/>`}`;

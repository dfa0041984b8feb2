/* app.js -- begins: asks who is there, chooses the page that the address names, shows it in the frame.
 *
 * A page is a module of pages/ whose default export draws it from {path, query}; it is loaded when it is
 * first opened. A failing page does not take the frame with it.
 */
import { html, render, place, go, useState, useEffect } from "./base.js";
import { get, session, may } from "./api.js";
import { language, language_set, t } from "./words.js";
import { Head, Notice, Problem, Spoken } from "./ui.js";
import { Questions } from "./forms.js";
import { Frame } from "./shell.js";
import { Component } from "./vendor/preact.js";

/* Address, module, what one must be allowed (see api.js) */
const PAGES = {
	overview: ["overview"], trace: ["trace"], messages: ["message", "trace"], queue: ["queue"], kept: ["kept"], quarantine: ["kept"],
	held: ["kept"], mine: ["mine"], lists: ["lists"], incidents: ["incidents"], policy: ["policy"], live: ["live"], domains: ["domains"],
	health: ["health"], audit: ["audit"], users: ["users"], reputation: ["reputation"], me: ["me", null],
};
const loaded = {};

export const home = () => (may("overview") ? "overview" : "mine");

class Guard extends Component {
	constructor() {
		super();
		this.state = { broken: null };
	}
	componentDidCatch(e) {
		console.error(e);
		this.setState({ broken: e });
	}
	componentDidUpdate(before) {
		if (before.name !== this.props.name && this.state.broken)
			this.setState({ broken: null });
	}
	render() {
		return this.state.broken ? html`<${Head} title=${t("error.page")}/><${Notice} kind="bad" title=${t("error.page")}>
			<p>${t("error.page.do")}</p><p class="quote">${String(this.state.broken.message)}</p><//>` : this.props.children;
	}
}

function Page({ at }) {
	const name = at.path[0] || home();
	const [module, need = module] = PAGES[name] || [];
	const [, ready] = useState(0), [error, fail] = useState(null);
	useEffect(() => {
		fail(null);
		if (module && !loaded[module])
			import(`./pages/${module}.js`).then((m) => {
				loaded[module] = m.default;
				ready((n) => n + 1);
			}, () => fail({ code: "network", message: "" }));
	}, [module]);
	if (!module || (need && !may(need)))
		return html`<${Head} title=${t(module ? "error.forbidden" : "error.not-found")}/>
			<p>${t(module ? "error.forbidden.do" : "error.page-unknown.do")} <a href="#/">${t("nav.start")}</a></p>`;
	if (error)
		return html`<${Problem} error=${error} retry=${() => location.reload()}/>`;
	const Draw = loaded[module];
	return Draw ? html`<${Guard} name=${location.hash}><${Draw} key=${name} path=${at.path} query=${at.query} name=${name}/><//>` :
		html`<p class="loading" role="status">${t("loading")}</p>`;
}

let first = true;
addEventListener("hashchange", (e) => {
	const page = (url) => (url.split("#")[1] || "").split("?")[0];
	if (page(e.oldURL) === page(e.newURL))
		return;
	document.body.dataset.moved = "1";
	scrollTo(0, 0);
});

function App() {
	const me = session.use(), at = place.use();
	language.use();
	const door = !me || at.path[0] === "signin";
	const Door = loaded.signin;
	const [, ready] = useState(0);
	useEffect(() => {
		if (door && me !== undefined && !loaded.signin)
			import("./pages/signin.js").then((m) => {
				loaded.signin = m.default;
				ready((n) => n + 1);
			});
	}, [door, me]);
	if (me === undefined)
		return null;
	if (door)
		return html`${Door && html`<${Door} query=${at.query} path=${at.path}/>`}<${Spoken}/>`;
	return html`<${Frame} at=${at} home=${home()}><${Page} at=${at} key=${me.name}/><//><${Spoken}/><${Questions}/>`;
}

export async function enter(me, next) {
	session.set(me);
	if (me.language && me.language !== language.get())
		await language_set(me.language);
	if (next !== undefined)
		go(next.path?.length ? next.path : [home()], next.query, true);
}

async function begin() {
	const words = language_set(language.get());
	let me = null;
	try {
		me = await get("/session", undefined, { door: true });
	} catch (e) {
		if (e.status !== 401) {
			await words;
			render(html`<main class="door"><${Problem} error=${e} retry=${() => location.reload()}/></main>`, document.getElementById("app"));
			return;
		}
	}
	await words;
	if (me?.name)
		await enter(me);
	else
		session.set(null);
	if (first)
		render(html`<${App}/>`, document.getElementById("app"));
	first = false;
}
begin();

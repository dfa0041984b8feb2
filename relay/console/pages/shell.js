/* shell.js -- what stands around every page: the search on top, the menu, language, colours, the way out. */
import { html, go, useEffect, useRef, useState } from "./base.js";
import { may, send, session } from "./api.js";
import { language, language_set, LANGUAGES, t } from "./words.js";
import { Icon, say, Text } from "./ui.js";

const MENU = [
	[null, ["overview", "live"]],
	["nav.mail", ["trace", "queue", "kept", "mine", "lists"]],
	["nav.rules", ["policy", "incidents"]],
	["nav.system", ["domains", "reputation", "health", "audit", "users"]],
];
const SAME = { quarantine: "kept", held: "kept", messages: "trace" };

export async function language_choose(code) {
	await language_set(code);
	if (session.get())
		send("PATCH", "/session", { language: code }).then(() => session.set({ ...session.get(), language: code }), () => {});
}

export function Languages() {
	const now = language.use();
	return html`<div class="langs">${Object.entries(LANGUAGES).map(([code, name]) => html`<button type="button" class="plain small" lang=${code}
		aria-pressed=${String(code === now)} onClick=${() => language_choose(code)}>${name}</button>`)}</div>`;
}

const dark_now = () => {
	const set = document.documentElement.dataset.theme;
	return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

export function Theme() {
	const [dark, set] = useState(dark_now());
	useEffect(() => {
		const m = matchMedia("(prefers-color-scheme: dark)"), f = () => set(dark_now());
		m.addEventListener("change", f);
		return () => m.removeEventListener("change", f);
	}, []);
	return html`<button type="button" class="plain" aria-label=${t(dark ? "theme.light" : "theme.dark")} title=${t(dark ? "theme.light" : "theme.dark")} onClick=${() => {
		const next = dark ? "light" : "dark";
		document.documentElement.dataset.theme = next;
		try {
			localStorage.setItem("postern.theme", next);
		} catch {
			/* for this page only */
		}
		dispatchEvent(new Event("themechange"));
		set(!dark);
	}}><${Icon} name=${dark ? "sun" : "moon"}/></button>`;
}

/* Who came by the organisation's sign-in service signs out there, too, where it offers that. */
export async function leave(everywhere) {
	let there;
	try {
		there = (await send("DELETE", "/session", everywhere === true ? { everywhere } : undefined)).leave;
	} catch {
		/* the session is over either way, or the server is: say the door */
	}
	if (there?.startsWith("https://")) {
		location.assign(there);
		return;
	}
	session.set(null);
	go([], {}, true);
	say(t("signin.left"));
}

export function Frame({ at, home, children }) {
	const [open, set] = useState(false), find = useRef();
	const now = SAME[at.path[0]] || at.path[0] || home;
	useEffect(() => set(false), [at]);
	useEffect(() => {
		const f = (e) => {
			if (e.key === "/" && !e.ctrlKey && !e.metaKey && !e.altKey && !/^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName) && find.current) {
				e.preventDefault();
				find.current.focus();
			}
		};
		addEventListener("keydown", f);
		return () => removeEventListener("keydown", f);
	}, []);
	return html`<a class="skip" href="#main" onClick=${(e) => {
		e.preventDefault();
		document.getElementById("main").focus();
	}}>${t("skip")}</a>
	<div class="frame">
		<header class="top">
			<button type="button" class="fold plain" aria-expanded=${String(open)} aria-controls="menu" aria-label=${t("menu")} onClick=${() => set(!open)}><${Icon} name="menu"/></button>
			<a class="brand" href="#/"><img src="icon.svg" alt="" width="24" height="24"/>Postern</a>
			${may("trace") && html`<form class="find" role="search" aria-label=${t("find")} onSubmit=${(e) => {
				e.preventDefault();
				go(["trace"], { q: find.current.value.trim() });
			}}><input ref=${find} type="search" name="find" aria-label=${t("find")} placeholder=${t("find.hint")} autocomplete="off" spellcheck="false" autocapitalize="off"/></form>`}
			<div class="end">
				<a class="me" href="#/me"><${Text} value=${session.get()?.name}/></a>
				<${Languages}/><${Theme}/>
				<button type="button" class="plain" aria-label=${t("signout")} title=${t("signout")} onClick=${() => leave()}><${Icon} name="out"/></button>
			</div>
		</header>
		<div id="menu" class=${open ? "side open" : "side"}><nav aria-label=${t("menu")}>${MENU.map(([title, pages]) => {
			const mine = pages.filter(may);
			return mine.length > 0 && html`<div>${title && html`<h2>${t(title)}</h2>`}<ul>${mine.map((p) => html`<li><a href=${"#/" + p}
				aria-current=${p === now ? "page" : undefined}>${t("nav." + p)}</a></li>`)}</ul></div>`;
		})}<div class="fold stack"><a href="#/me">${t("nav.me")}</a><${Languages}/></div></nav></div>
		<main id="main" tabindex="-1">${children}</main>
	</div>`;
}

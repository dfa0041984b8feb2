/* chart.js -- lines over time, drawn by uPlot.
 *
 * Colours are the page's own (--c1 … --c6), and each line has a pattern too. What a chart shows stands beside it
 * in words: the legend has the sums, a table the figures.
 */
import { html, useEffect, useRef } from "./base.js";
import { language } from "./words.js";
import * as f from "./format.js";

const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3], [1, 2], [10, 4]];
const HEIGHT = 180;
const colour = (n) => getComputedStyle(document.documentElement).getPropertyValue(n).trim();

/* uplot.js is a script of its own: it may still be on its way. */
function uplot() {
	if (window.uPlot)
		return Promise.resolve(window.uPlot);
	return new Promise((done) => {
		const script = document.querySelector("script[src$='uplot.js']");
		script?.addEventListener("load", () => done(window.uPlot), { once: true });
	});
}

let styled = false;
function style() {
	if (styled)
		return;
	styled = true;
	const link = document.createElement("link");
	link.rel = "stylesheet";
	link.href = "vendor/uplot.css";
	document.head.append(link);
}

export const Legend = ({ rows }) => html`<ul class="legend">${rows.map((r, i) => html`<li><svg class=${"k" + r.colour} viewBox="0 0 28 10" aria-hidden="true"><line x1="0" y1="5" x2="28" y2="5"
	stroke="currentColor" stroke-width="3" stroke-dasharray=${DASHES[i].join(" ") || "none"}/></svg>${r.name}${r.value !== undefined && html` <span class="strong">${r.value}</span>`}</li>`)}</ul>`;

/* times: Unix seconds; rows: [{name, colour: 1…6, values}] */
export function Chart({ times, rows, label }) {
	const box = useRef();
	const now = language.use();
	const key = JSON.stringify([times, rows, now]);
	useEffect(() => {
		let plot = null, gone = false, watch = null, frame = 0;
		const draw = (uPlot) => {
			if (gone)
				return;
			plot?.destroy();
			const ink = colour("--quiet"), line = colour("--line");
			const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
			plot = new uPlot({
				width: Math.max(200, box.current.clientWidth), height: HEIGHT, legend: { show: false }, cursor: { show: false }, padding: [8, 8, 0, 0],
				scales: { y: { range: (u, low, high) => [0, Math.max(4, high * 1.08)] } },
				axes: [{ ...axis, size: 28, space: 48, values: (u, v) => v.map((s) => f.hour(s)) },
					{ ...axis, size: 44, values: (u, v) => v.map((n) => (Number.isInteger(n) ? f.compact(n) : "")) }],
				series: [{}, ...rows.map((r, i) => ({ label: r.name, stroke: colour("--c" + r.colour), width: 2, dash: DASHES[i], points: { show: false } }))],
			}, [times, ...rows.map((r) => r.values)], box.current);
		};
		const again = () => uplot().then(draw);
		const scheme = matchMedia("(prefers-color-scheme: dark)");
		style();
		again();
		addEventListener("themechange", again);
		scheme.addEventListener("change", again);
		watch = new ResizeObserver(() => {
			cancelAnimationFrame(frame);
			frame = requestAnimationFrame(() => plot && box.current && plot.setSize({ width: Math.max(200, box.current.clientWidth), height: HEIGHT }));
		});
		watch.observe(box.current);
		return () => {
			gone = true;
			cancelAnimationFrame(frame);
			watch.disconnect();
			removeEventListener("themechange", again);
			scheme.removeEventListener("change", again);
			plot?.destroy();
		};
	}, [key]);
	return html`<div class="chart" role="img" aria-label=${label} ref=${box}></div>`;
}

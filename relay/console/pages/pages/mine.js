/* mine.js -- what was kept of a user's own mail. */
import { html } from "../base.js";
import { Kept } from "./kept.js";

export default ({ path, query }) => html`<${Kept} path=${path} query=${query} mine base="mine"/>`;

// Who may come in: users and API keys. What is shown once is gone when the page is left.
import { useState } from "preact/hooks";
import { paused } from "../focus.js";
import { html } from "../html.js";
import { Copied } from "./copy.js";
import { Dialog } from "./dialog.js";
import { Loaded, useLoaded } from "./loaded.js";
import { me, request } from "../api.js";
import { moment, title } from "../words.js";

const ROLES = ["viewer", "operator", "admin"];
const LETTERS = "abcdefghijkmnpqrstuvwxyz23456789";

/** 20 letters, 100 random bits, in fours. */
function password() {
  const letters = [...crypto.getRandomValues(new Uint8Array(20))].map((byte) => LETTERS[byte % 32]).join("");
  return /** @type {string[]} */ (letters.match(/.{4}/g)).join("-");
}

/** Do one thing at a time, and say what went wrong. @param {() => Promise<void>} after */
function useDeed(after) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  /** @param {string} path @param {{method: string, body?: any}} options @returns {Promise<any>} undefined when refused */
  async function deed(path, options) {
    setBusy(true);
    setError("");
    try {
      return (await request(path, options)) ?? {};
    } catch (problem) {
      setError(problem instanceof Error ? problem.message : String(problem));
      return undefined;
    } finally {
      setBusy(false);
      await after();
    }
  }
  return { busy, error, deed };
}

/** @param {{name: string, label: string, value?: string}} props */
const RoleChoice = ({ label, name, value = "viewer" }) => html`
  <label>${label}<select name=${name}>${ROLES.map((role) => html`<option key=${role} value=${role} selected=${role === value}>${title(role)}</option>`)}</select></label>`;

/** @param {{what: string, text: string, onDone: () => void}} props */
const Once = ({ what, text, onDone }) => html`
  <div class="once" role="status"><p><strong>${what}</strong> Shown this once and kept nowhere.</p>
    <${Copied} text=${text} what=${what} />
    <div><button class="button small-button" type="button" onClick=${onDone}>I have it</button></div></div>`;

/** @param {{user: any, busy: boolean, change: (body: any) => void, reset: () => void, remove: () => void}} props */
function User({ user, busy, change, reset, remove }) {
  const fixed = user.source === "environment" ? "from the environment" : user.name === me.value?.user ? "you" : "";
  return html`
    <li class="person">
      <p class="line-name">${user.name}${user.disabled && html`<span class="tag link-wrong">disabled</span>`}
        ${user.one_time && html`<span class="tag link-off">has not chosen a password yet</span>`}
        ${fixed && html`<span class="quiet small">${title(user.role)}, ${fixed}</span>`}</p>
      ${!fixed && html`<div class="line-buttons">
        <select aria-label=${`Role of ${user.name}`} value=${user.role}
          onChange=${(/** @type {any} */ event) => change({ role: event.target.value })}>
          ${ROLES.map((role) => html`<option key=${role} value=${role} selected=${role === user.role}>${title(role)}</option>`)}</select>
        <button class="button small-button" type="button" ...${paused(busy)} aria-label=${`New password for ${user.name}`} onClick=${reset}>New password</button>
        <button class="button small-button" type="button" ...${paused(busy)} aria-label=${`${user.disabled ? "Enable" : "Disable"} ${user.name}`}
          onClick=${() => change({ disabled: !user.disabled })}>${user.disabled ? "Enable" : "Disable"}</button>
        <button class="button small-button danger-text" type="button" ...${paused(busy)} aria-label=${`Remove ${user.name}`} onClick=${remove}>Remove</button>
      </div>`}
    </li>`;
}

/** @param {{told: () => Promise<void>}} props `told`: something was done that the audit log names */
export function Users({ told }) {
  const found = useLoaded("/api/v1/users");
  const { busy, error, deed } = useDeed(async () => void (await Promise.all([found.look(), told()])));
  const [once, setOnce] = useState(/** @type {{name: string, text: string} | null} */ (null));
  const [leaving, setLeaving] = useState("");
  /** @param {string} name */
  const path = (name) => `/api/v1/users/${encodeURIComponent(name)}`;
  async function reset(/** @type {string} */ name) {
    const text = password();
    if (await deed(path(name), { method: "PATCH", body: { password: text, one_time: true } })) setOnce({ name, text });
  }
  /** @param {SubmitEvent} event */
  async function add(event) {
    event.preventDefault();
    const place = /** @type {HTMLFormElement} */ (event.target);
    const form = new FormData(place);
    const text = password();
    const made = await deed("/api/v1/users", { method: "POST", body: { name: form.get("name"), role: form.get("role"), password: text, one_time: true } });
    if (!made) return;
    setOnce({ name: made.name, text });
    place.reset();
  }
  return html`
    <section class="card" aria-labelledby="users-title">
      <div class="card-head"><h2 id="users-title">Users</h2></div>
      <${Loaded} of=${found}>${() => html`
        <ul class="lines">${found.value.users.map((/** @type {any} */ user) => html`
          <${User} key=${user.name} user=${user} busy=${busy} remove=${() => setLeaving(user.name)} reset=${() => reset(user.name)}
            change=${(/** @type {any} */ body) => deed(path(user.name), { method: "PATCH", body })} />`)}</ul>`}</${Loaded}>
      <form class="form-row" onSubmit=${add} aria-label="Add a user">
        <label>Name<input name="name" required maxlength="64" autocomplete="off" autocapitalize="none" spellcheck=${false} /></label>
        <${RoleChoice} label="Role" name="role" />
        <button class="button primary" type="submit" ...${paused(busy)}>Add user</button>
      </form>
      ${error && html`<p class="error" role="alert">${error}</p>`}
      ${once && html`<${Once} what=${`The password of ${once.name}, for the first time: they choose their own then.`} text=${once.text} onDone=${() => setOnce(null)} />`}
      ${leaving && html`
        <${Dialog} title=${`Remove ${leaving}?`} confirm="Remove" danger busy=${busy} onClose=${() => setLeaving("")}
          onConfirm=${async () => (await deed(path(leaving), { method: "DELETE" }), setLeaving(""))}>
          <p>Every session of theirs ends. What they did stays in the audit log.</p></${Dialog}>`}
    </section>`;
}

/** @param {any} key @returns {string} */
const used = (key) => (key.last_used_at ? `last used ${moment(key.last_used_at)}` : "never used");

/** @param {{told: () => Promise<void>}} props */
export function Keys({ told }) {
  const found = useLoaded("/api/v1/keys");
  const { busy, error, deed } = useDeed(async () => void (await Promise.all([found.look(), told()])));
  const [once, setOnce] = useState(/** @type {{label: string, text: string} | null} */ (null));
  const [leaving, setLeaving] = useState(/** @type {any} */ (null));
  /** @param {SubmitEvent} event */
  async function add(event) {
    event.preventDefault();
    const place = /** @type {HTMLFormElement} */ (event.target);
    const form = new FormData(place);
    const made = await deed("/api/v1/keys", { method: "POST", body: { label: form.get("label"), role: form.get("role") } });
    if (!made) return;
    setOnce({ label: made.label, text: made.key });
    place.reset();
  }
  return html`
    <section class="card" aria-labelledby="keys-title">
      <div class="card-head"><h2 id="keys-title">API keys</h2></div>
      <${Loaded} of=${found}>${() => (found.value.keys.length ? html`
        <ul class="lines">${found.value.keys.map((/** @type {any} */ key) => html`
          <li class="person" key=${key.id}>
            <p class="line-name">${key.label}<span class="quiet small">${title(key.role)}, by ${key.created_by} ${moment(key.created_at)}, ${used(key)}</span></p>
            <div class="line-buttons">${key.revoked_at ? html`<span class="tag link-off">revoked</span>`
              : html`<button class="button small-button danger-text" type="button" ...${paused(busy)} aria-label=${`Revoke ${key.label}`} onClick=${() => setLeaving(key)}>Revoke</button>`}</div>
          </li>`)}</ul>` : html`<p class="quiet">None yet. A key lets a machine in: a report, a CRM.</p>`)}</${Loaded}>
      <form class="form-row" onSubmit=${add} aria-label="Create a key">
        <label>What it is for<input name="label" required maxlength="64" placeholder="nightly report" autocomplete="off" /></label>
        <${RoleChoice} label="Role of the key" name="role" />
        <button class="button primary" type="submit" ...${paused(busy)}>Create key</button>
      </form>
      ${error && html`<p class="error" role="alert">${error}</p>`}
      ${once && html`<${Once} what=${`The key for ${once.label}.`} text=${once.text} onDone=${() => setOnce(null)} />`}
      ${leaving && html`
        <${Dialog} title=${`Revoke the key for ${leaving.label}?`} confirm="Revoke" danger busy=${busy} onClose=${() => setLeaving(null)}
          onConfirm=${async () => (await deed(`/api/v1/keys/${leaving.id}`, { method: "DELETE" }), setLeaving(null))}>
          <p>It opens nothing any more, and cannot be given back.</p></${Dialog}>`}
    </section>`;
}

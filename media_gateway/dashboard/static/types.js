// The shapes the page works with, for the type checker; nothing here runs.

/**
 * One thing that happened in a call, as the page keeps it (the socket's and the journal's forms become this one).
 * @typedef {object} CallEvent
 * @property {string} event
 * @property {string} callId
 * @property {number} seq 0 for the live lane (partials, chunks)
 * @property {string} ts ISO 8601
 * @property {Record<string, any>} data
 */

/**
 * @typedef {object} Bubble
 * @property {"user" | "assistant"} kind
 * @property {string} key
 * @property {string} text what was said (assistant: what was heard)
 * @property {string} cut what the caller never heard; "" when all was heard
 * @property {string} ts
 */

/**
 * @typedef {object} ToolItem
 * @property {"tool"} kind
 * @property {string} key
 * @property {string} tool
 * @property {Record<string, any>} args
 * @property {any} result
 * @property {boolean} ok
 * @property {number | null} ms
 * @property {string} ts
 */

/**
 * @typedef {object} NoteItem
 * @property {"note"} kind
 * @property {string} key
 * @property {string} text
 * @property {"calm" | "trouble"} tone
 * @property {string} ts
 */

/** @typedef {Bubble | ToolItem | NoteItem} Item */

/** @typedef {{seq: number, event: string, detail: string, ts: string}} Milestone */

/** @typedef {{turn: number, stages: Array<[string, number]>, total: number}} TurnLatency */

/**
 * What the journal says about a call, folded.
 * @typedef {object} Story
 * @property {Item[]} items
 * @property {string | null} status
 * @property {string | null} state
 * @property {string | null} intent
 * @property {Record<string, any>} slots
 * @property {Record<string, any> | null} appointment
 * @property {Milestone[]} milestones
 * @property {TurnLatency[]} latencies
 * @property {boolean} completed
 * @property {string} endedAt
 * @property {string} lastLine
 * @property {number} heardTurn last turn with a final transcript
 * @property {number} spokenTurn last turn whose reply is complete
 */

/** @typedef {{turn: number, text: string}} LiveText */

/**
 * @typedef {object} CallView
 * @property {string} id
 * @property {Record<string, any>} head what the list said
 * @property {CallEvent[]} events durable, ordered by seq, no doubles
 * @property {Story} story
 * @property {LiveText | null} partial
 * @property {LiveText | null} reply
 * @property {boolean} loaded the journal was read from its start
 */

/** @typedef {{stage: string, name: string, demo: boolean, unlock?: string | null}} Engine */
/** @typedef {{engines: Engine[], store: string, demo: boolean, base_url: string}} About */

export {};

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
 * @property {"user" | "assistant" | "supervisor"} kind
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

/** What a supervisor's command came to. @typedef {{kind: string, actor: string, ok: boolean, detail: string, ts: string}} CommandResult */

/** A tool call that waits for a supervisor's word. @typedef {{id: string, tool: string, args: Record<string, any>, ts: string}} Approval */

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
 * @property {string} startedAt when the first event happened
 * @property {string} endedAt
 * @property {string} lastLine
 * @property {string} wordsAt when words were last said by anybody
 * @property {number} heardTurn last turn with a final transcript
 * @property {number} spokenTurn last turn whose reply is complete
 * @property {number} turns how many turns the caller has taken
 * @property {number} tokens
 * @property {Record<string, number>} cost dollars by part, of the turns so far; `usd` is their sum
 * @property {string} escalation why a person was asked for; "" while nobody was
 * @property {boolean} withPerson a person has the call
 * @property {string} fault what failed last; "" when the assistant has answered since
 * @property {number} idles how often the caller was silent in a row
 * @property {string} holder which supervisor speaks in the call; "" when none does
 * @property {Record<string, CommandResult>} commands by command id
 * @property {Approval[]} approvals
 */

/** @typedef {{turn: number, text: string}} LiveText */

/**
 * @typedef {object} CallView
 * @property {string} id
 * @property {Record<string, any>} head what the list said
 * @property {Story} story
 * @property {number} through the story holds every event up to here (a tile's: from where the page came in)
 * @property {CallEvent[]} pending events behind a gap, in order
 * @property {boolean} whole the story begins with the first event; else it is a tile's, without a past
 * @property {LiveText | null} partial
 * @property {LiveText | null} reply
 * @property {boolean} loaded the journal was read from its start
 * @property {boolean} [missing] the server knows of no such call
 */

/** @typedef {{stage: string, name: string, demo: boolean, unlock?: string | null}} Engine */
/** @typedef {{engines: Engine[], store: string, demo: boolean, base_url: string, flows?: string[]}} About */

/**
 * A place of the dashboard. `load` gives the module of the page; its default export draws it and is given what the
 * address says behind the page's name.
 * @typedef {object} PageEntry
 * @property {string} name in the address: `#/name`
 * @property {string} title
 * @property {() => any} icon
 * @property {() => Promise<{default: (props: PageProps) => any}>} load
 */

/** @typedef {{rest: string[], query: URLSearchParams}} PageProps */

export {};

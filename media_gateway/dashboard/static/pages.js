// The pages there are, in the order of the navigation. A page's module is loaded when it is first shown.
import { icons } from "./components/icons.js";
/** @import { PageEntry } from "./types.js" */

/** @type {PageEntry[]} */
export const pages = [
  { name: "live", title: "Live", icon: icons.live, load: () => import("./pages/live.js") },
  { name: "talk", title: "Talk", icon: icons.microphone, load: () => import("./pages/talk.js") },
  { name: "history", title: "History", icon: icons.history, load: () => import("./pages/history.js") },
  { name: "numbers", title: "Numbers", icon: icons.numbers, load: () => import("./pages/numbers.js") },
  { name: "place", title: "Place calls", icon: icons.place, load: () => import("./pages/place.js") },
  { name: "setup", title: "Set up", icon: icons.setup, load: () => import("./pages/setup.js") },
];

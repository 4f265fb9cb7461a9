// Tabs of a page that shows a report as it lies in the folder; it is fetched when it is opened.

import { tabs } from "./tabs.js";

tabs(document.querySelector(".tabs"), (id) => {
  const frame = document.querySelector("iframe.report");
  if (id === "tab-report" && !frame.src) frame.src = frame.dataset.src;
});

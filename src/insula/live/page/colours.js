// One colour a class, told apart with any colour vision (after Okabe & Ito), readable on light and dark.
const HUES = ["#0f8b8d", "#d55e00", "#5b6cc9", "#b8860b", "#c2568c", "#3f9b46", "#4ea3dc", "#8a6fb0", "#8b8b8b"];
export const colour = (i) => HUES[i % HUES.length];
export const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

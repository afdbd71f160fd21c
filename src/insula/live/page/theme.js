// The chosen theme, before anything is drawn.
(() => {
  try {
    const kept = localStorage.getItem("insula-theme");
    if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
  } catch { /* storage may be forbidden */ }
})();

// Draws what stands as JSON in #molecule-data into #molecule, with 3Dmol.js; where there is no WebGL the sentence in #molecule-told stays.
(function () {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const probe = document.createElement("canvas");
  if (!(probe.getContext("webgl2") || probe.getContext("webgl")) || typeof $3Dmol === "undefined") return;
  const data = JSON.parse(byId("molecule-data").textContent);
  const unpacked = (frame) => data.elements.map((_, i) => [0, 1, 2].map((k) => frame[3 * i + k] / 100));
  const atoms = (places) =>
    data.elements.map((elem, i) => ({
      elem, serial: i, index: i, x: places[i][0], y: places[i][1], z: places[i][2],
      bonds: data.bonds[i], bondOrder: data.bonds[i].map(() => 1), hetflag: false,
    }));
  const box = byId("molecule"), slider = byId("molecule-frame"), told = byId("molecule-time");
  try {
    byId("molecule-view").hidden = false;
    const viewer = $3Dmol.createViewer(box, { backgroundColor: "white", antialias: true });
    const bonded = data.bonds.some((b) => b.length);
    const style = bonded ? { stick: { radius: 0.12 }, sphere: { scale: 0.22 } } : { sphere: { scale: 0.5 } };
    const frames = data.frames.map(unpacked);
    const path = viewer.addModel();
    path.addAtoms(atoms(frames[0]));
    path.setCoordinates(frames, "array");
    path.setStyle({}, style);
    const overlaid = data.transition_states.map((frame) => {
      const model = viewer.addModel();
      model.addAtoms(atoms(unpacked(frame)));
      model.setStyle({}, bonded ? { stick: { radius: 0.04, color: data.colour } } : { sphere: { scale: 0.15, color: data.colour } });
      return model;
    });
    const show = (k) => {
      slider.value = k;
      told.textContent = data.times_ps[k].toFixed(3) + " ps, " + data.energies_kj_mol[k].toFixed(1) + " kJ/mol";
      path.setFrame(k).then(() => viewer.render());
    };
    viewer.zoomTo();
    viewer.zoom(1.1);
    const states = byId("molecule-states");
    states.addEventListener("change", () => {
      overlaid.forEach((model) => (states.checked ? model.show() : model.hide()));
      viewer.render();
    });
    let at = data.highest, step = 1, playing = false;
    const play = byId("molecule-play");
    play.addEventListener("click", () => { playing = !playing; play.textContent = playing ? "Stop" : "Play"; });
    slider.addEventListener("input", () => { at = Number(slider.value); show(at); });
    setInterval(() => {
      if (!playing) return;
      if (at + step < 0 || at + step >= frames.length) step = -step;
      at += step;
      show(at);
    }, 120);
    show(at);
    byId("molecule-told").hidden = true;
  } catch (problem) {
    byId("molecule-view").hidden = true;
    throw problem;
  }
})();

// Records a second over the run.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 600;
const HEIGHT = 100;

/** The rate between each two points of the history. */
function rates(history) {
  return history.slice(1).map((point, at) => {
    const from = Date.parse(history[at].at);
    const to = Date.parse(point.at);
    return { from, to, rate: Math.max(0, point.read - history[at].read) / Math.max(0.001, (to - from) / 1000) };
  });
}

/** The chart, or nothing before there is anything to show. */
function chart(history) {
  const steps = rates(history ?? []);
  const most = Math.max(0, ...steps.map((step) => step.rate));
  if (!most) return [];
  const begun = steps[0].from;
  const span = steps.at(-1).to - begun;
  const x = (time) => ((time - begun) / span * WIDTH).toFixed(1);
  const y = (rate) => (HEIGHT - rate / most * (HEIGHT - 6)).toFixed(1);
  const line = steps.map(({ from, to, rate }) => `${x(from)},${y(rate)} ${x(to)},${y(rate)}`).join(" ");
  const told = `at most ${grouped(Math.round(most))} records a second, ${grouped(Math.round(steps.at(-1).rate))} at the end, over ${duration(span / 1000)}`;
  const svg = document.createElementNS(SVG, "svg");
  const set = (element, attributes) => Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
  set(svg, { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "chart", role: "img", "aria-label": `Rate over the run: ${told}` });
  for (const [name, d] of [
    ["area", `M0,${HEIGHT} L${line} L${WIDTH},${HEIGHT} Z`],
    ["base", `M0,${HEIGHT} H${WIDTH}`],
    ["line", `M${line}`],
  ]) {
    const path = document.createElementNS(SVG, "path");
    set(path, { class: name, d });
    svg.append(path);
  }
  return [svg, make("figcaption", { "aria-hidden": "true" }, `Rate over the run: ${told}`)];
}

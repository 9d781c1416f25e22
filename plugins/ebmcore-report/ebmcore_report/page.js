"use strict";
// values under the pointer, or under the arrow keys, of each chart
for (const svg of document.querySelectorAll("svg[data-lines]")) {
  const lines = JSON.parse(svg.dataset.lines), [low, high, left, right] = JSON.parse(svg.dataset.axis);
  const steps = [...new Set(lines.flatMap((line) => line[2]))].sort((a, b) => a - b);
  const cursor = svg.querySelector(".cursor"), output = svg.parentElement.querySelector("output");
  let at = steps.length - 1;
  const show = (i) => {
    at = Math.max(0, Math.min(steps.length - 1, i));
    const step = steps[at], x = left + (right - left) * (step - low) / (high - low || 1);
    cursor.setAttribute("transform", `translate(${x} 0)`);
    cursor.setAttribute("visibility", "visible");
    output.textContent = `step ${step.toLocaleString("en")} `;
    for (const [label, colour, own, values] of lines) {
      const k = own.indexOf(step);
      if (k < 0) continue;
      const swatch = document.createElement("i");
      swatch.className = `c${colour}`;
      output.append(swatch, lines.length > 1 ? `${label} ${values[k]}` : values[k]);
    }
  };
  const leave = () => { cursor.setAttribute("visibility", "hidden"); output.textContent = output.dataset.rest; };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), x = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
    const step = low + (high - low) * (x - left) / (right - left);
    let best = 0;
    steps.forEach((s, i) => { if (Math.abs(s - step) < Math.abs(steps[best] - step)) best = i; });
    show(best);
  });
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("blur", leave);
  svg.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1, Home: -steps.length, End: steps.length }[event.key];
    if (move) { event.preventDefault(); show(at + move); }
  });
}
// pictures through time: each run shows its last picture up to the step of the slider
for (const player of document.querySelectorAll(".player")) {
  player.hidden = false;
  const slider = player.querySelector("input"), button = player.querySelector("button");
  const steps = slider.dataset.steps.split(",").map(Number), output = player.querySelector("output");
  const figures = [...player.parentElement.querySelectorAll("figure")].map((f) => [...f.querySelectorAll("img")]);
  const show = () => {
    const step = steps[slider.value];
    output.textContent = step.toLocaleString("en");
    slider.setAttribute("aria-valuetext", `step ${step}`);
    for (const images of figures) {
      const until = images.filter((image) => Number(image.dataset.step) <= step);
      const shown = until[until.length - 1] || images[0];
      for (const image of images) image.hidden = image !== shown;
    }
  };
  let timer = 0;
  const stop = () => { clearInterval(timer); timer = 0; button.textContent = "Play"; };
  slider.addEventListener("input", () => { stop(); show(); });
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (Number(slider.value) === steps.length - 1) slider.value = 0;
    show();
    button.textContent = "Pause";
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      show();
      if (Number(slider.value) === steps.length - 1) stop();
    }, Math.max(80, Math.min(600, 6000 / steps.length)));
  });
}

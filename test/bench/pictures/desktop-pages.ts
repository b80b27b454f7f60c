// Pages that look like what graphical installers and desktops show: wallpapers, windows, lists, dialogs, text.
// Each is one document without references, and comes out the same each time.

export const pageCount = 24;

const layouts = [installer, dialog, terminal, files, writer, login, software, browser];
const wallpapers = ["waves", "sky", "photo", "plain", "fog", "weave"];

/** HTML of a page; `index` from 0. */
export function desktopPage(index: number): string {
  const layout = layouts[index % layouts.length] ?? dialog;
  const wallpaper = wallpapers[(index + Math.floor(index / layouts.length)) % wallpapers.length] ?? "plain";
  return `<!doctype html><html><head><meta charset="utf-8"><style>${style}</style></head>
    <body style="--hue: ${(index * 47) % 360}"><canvas width="1024" height="768"></canvas>${layout(index)}
    <script>${paint}; paint("${wallpaper}", ${index})</script></body></html>`;
}

const style = `
  body { margin: 0; width: 1024px; height: 768px; overflow: hidden; position: relative;
    font: 14px "DejaVu Sans"; color: #222 }
  canvas { position: absolute }
  div { box-sizing: border-box }
  .window { position: absolute; background: #f4f2f0; border: 1px solid #888; border-radius: 6px;
    box-shadow: 3px 5px 14px #0008; overflow: hidden }
  .title { background: linear-gradient(#fff, #d4d0cc); border-bottom: 1px solid #aaa; padding: 5px;
    text-align: center; font-weight: bold }
  .bar { position: absolute; bottom: 0; width: 1024px; height: 28px; padding: 5px; color: #eee;
    background: linear-gradient(#555e, #222e) }
  .side { position: absolute; width: 250px; height: 768px; padding: 40px 30px; color: #fff; line-height: 2;
    background: linear-gradient(160deg, hsl(var(--hue), 60%, 20%), hsl(var(--hue), 50%, 45%)) }
  .main { position: absolute; left: 250px; width: 774px; height: 768px; padding: 30px;
    background: linear-gradient(#eceaea, #c9c5cb) }
  .field { background: #fff; border: 1px solid #999; border-radius: 3px; padding: 6px; margin: 8px 0 }
  button { font: 14px "DejaVu Sans"; padding: 5px 18px; border: 1px solid #777; border-radius: 4px;
    background: linear-gradient(#fefefe, #cfcfcf) }
  .icon { display: inline-block; width: 48px; height: 48px; border-radius: 10px; margin: 8px 26px;
    background: radial-gradient(circle at 30% 30%, #fff, hsl(var(--hue), 70%, 50%) 40%, #0006) }
  pre { font: 13px "DejaVu Sans Mono"; margin: 8px }`;

/** Runs in the page. Noise makes some of them as hard to compress as photos are. */
const paint = `function paint(kind, seed) {
  const context = document.querySelector("canvas").getContext("2d");
  const image = context.createImageData(1024, 768);
  let state = seed * 7919 + 1;
  const random = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
  const phases = Array.from({ length: 6 }, () => 6.3 * random());
  const wave = (x, y, n) => Math.sin(x / (40 * n + 30) + phases[n]) + Math.sin(y / (30 * n + 25) + phases[5 - n]);
  const shades = {
    waves: (x, y) => 60 + 12 * Math.floor(y / 50 + 1.5 * wave(x, y, 2)),
    sky: (x, y) => 90 + y / 6,
    photo: (x, y) => 120 + 25 * wave(x, y, 0) + 18 * wave(y, x, 1) + 10 * wave(x, y, 3) + 14 * random(),
    plain: () => 96,
    fog: (x, y) => 128 + 20 * wave(x, y, 4) + 3 * random(),
    weave: (x, y) => 100 + 40 * ((x >> 1 ^ y >> 1) & 1) + y / 12 + x / 30,
  };
  for (let at = 0; at < 1024 * 768; at++) {
    const shade = shades[kind](at % 1024, Math.floor(at / 1024));
    const tint = [0.6 + 0.1 * (seed % 5), 0.9, 1.3 - 0.1 * (seed % 7)];
    for (let part = 0; part < 3; part++) image.data[4 * at + part] = shade * tint[part];
    image.data[4 * at + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}`;

const words = "system update network partition package desktop server volume boot user language kernel".split(
  " ",
);

function text(index: number, count: number): string {
  return Array.from(
    { length: count },
    (_, at) => words[(at * 7 + at * at * (index % 5) + index) % words.length],
  ).join(" ");
}

function lines(count: number, line: (at: number) => string): string {
  return Array.from({ length: count }, (_, at) => line(at)).join("");
}

function windowAt(place: string, title: string, content: string): string {
  return `<div class="window" style="${place}"><div class="title">${title}</div>${content}</div>`;
}

function panel(index: number): string {
  return `<div class="bar">Applications &nbsp; Places <span style="float: right">${10 + index}:37</span></div>`;
}

function installer(index: number): string {
  const steps = lines(9, (at) => `<div>${at < index % 9 ? "✓" : "•"} Step ${at}: ${words[at]}</div>`);
  const rows = lines(11, (at) => `<div class="field">${text(index + at, 5)}</div>`);
  return `<div class="side"><h2>Installation</h2>${steps}</div><div class="main"><h2>Partitioning</h2>${rows}
    <button>Help</button> <button>Back</button> <button>Next</button></div>`;
}

function dialog(index: number): string {
  const question = `<p style="margin: 20px">⚠ <b>Save changes?</b><br><br>${text(index, 8)}</p>
    <p style="margin: 20px; text-align: right"><button>Cancel</button> <button>Save</button></p>`;
  return windowAt("left: 260px; top: 270px; width: 500px", "Question", question) + panel(index);
}

function terminal(index: number): string {
  const output = lines(28, (at) => `user@host:~> ${text(index + at, 3 + (at % 6))}\n`);
  const screen = `<pre style="background: #111; color: #cfc; margin: 0; padding: 8px">${output}</pre>`;
  return windowAt("left: 60px; top: 50px; width: 760px", "Terminal", screen) + panel(index);
}

function files(index: number): string {
  const entry = (at: number) =>
    `<span style="display: inline-block; text-align: center"><span class="icon"></span><br>${words[at % 12]}</span>`;
  const content = `<div style="background: #fff; height: 480px; padding: 12px">${lines(24, entry)}</div>`;
  return windowAt("left: 120px; top: 90px; width: 840px", "Home", content) + panel(index);
}

function writer(index: number): string {
  const page = `<div style="background: #fff; margin: 20px 90px; padding: 60px; height: 620px; font: 16px serif">
    <h1>Untitled ${index}</h1>${lines(4, (at) => `<p>${text(index + at, 40)}.</p>`)}</div>`;
  return windowAt("left: 0; top: 0; width: 1024px; height: 740px", "Writer", page) + panel(index);
}

function login(index: number): string {
  const form = `<div style="padding: 30px; text-align: center"><span class="icon"></span><h3>Jane Doe</h3>
    <div class="field">••••••••</div>${index > 12 ? "<p>Wrong password</p>" : ""}<button>Log in</button></div>`;
  return windowAt("left: 362px; top: 240px; width: 300px", "Welcome", form);
}

function software(index: number): string {
  const row = (at: number) =>
    `<tr><td>${(at * index) % 3 ? "☑" : "☐"}</td><td>${text(index + at, 2)}</td><td>${at * 17 + index} MB</td></tr>`;
  const table = `<table class="field" style="width: 700px">${lines(24, row)}</table>`;
  return `<div class="side"><h2>Software</h2>${text(index, 30)}</div><div class="main">${table}<button>OK</button></div>`;
}

function browser(index: number): string {
  const card = (at: number) =>
    `<div style="float: left; width: 200px; height: 150px; margin: 12px; padding: 10px; color: #fff; border-radius: 8px;
      background: linear-gradient(${at * 40}deg, hsl(${at * 60 + index}, 60%, 40%), #333)">${text(at, 12)}</div>`;
  const content = `<div class="field">https://localhost/${text(index, 1)}</div><h2>News</h2>${lines(9, card)}`;
  return windowAt("left: 40px; top: 20px; width: 940px; height: 690px", "Browser", content) + panel(index);
}

// Depth over time on a canvas: time across, price up, the darker the more lots; our orders and fills as shapes on it.

const KEPT = 1200;
const LEFT = 8, RIGHT = 74, TOP = 8, BOTTOM = 22;
const LONGEST_MS = 300000, SHORTEST_MS = 30000;

function rgb(text) {
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = text;
  probe.fillRect(0, 0, 1, 1);
  return probe.getImageData(0, 0, 1, 1).data;
}

export default {
  template: `
    <div class="heat-map">
      <div class="heat-canvas" ref="box"><canvas ref="canvas" role="img" :aria-label="label"></canvas></div>
      <div class="heat-hover" ref="hover" aria-hidden="true"></div>
      <div class="heat-legend" aria-hidden="true" v-if="words">
        <span><i class="swatch bid"></i>{{ words.heat_bid }}</span>
        <span><i class="swatch ask"></i>{{ words.heat_ask }}</span>
        <span><i class="shape buy">◆</i>{{ words.heat_order_buy }}</span>
        <span><i class="shape sell">◆</i>{{ words.heat_order_sell }}</span>
        <span><i class="shape buy">▲</i>{{ words.heat_fill_buy }}</span>
        <span><i class="shape sell">▼</i>{{ words.heat_fill_sell }}</span>
        <span class="legend-text">{{ legend }}</span>
      </div>
    </div>`,
  data: () => ({ words: null, legend: "", label: "" }),
  created() {
    this.columns = [];
    this.marks = [];
    this.setup = null;
    this.pointed = null;
  },
  mounted() {
    this.sizes = new ResizeObserver(() => this.plan());
    this.sizes.observe(this.$refs.box);
    this.shade = new MutationObserver(() => this.plan());
    this.shade.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    // A finger that taps or drags is a pointer, too; what it points at changes while it rests.
    for (const kind of ["pointerdown", "pointermove"])
      this.$refs.canvas.addEventListener(kind, (event) => {
        this.pointed = { offsetX: event.offsetX, offsetY: event.offsetY };
        this.point(this.pointed);
      });
    this.$refs.canvas.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") this.unpoint();
    });
    this.elsewhere = (event) => event.target !== this.$refs.canvas && this.unpoint();
    document.addEventListener("pointerdown", this.elsewhere);
    this.$emit("ready");
  },
  unmounted() {
    this.sizes.disconnect();
    this.shade.disconnect();
    document.removeEventListener("pointerdown", this.elsewhere);
  },
  methods: {
    reset(setup, columns, marks) {
      this.setup = setup;
      this.words = setup.words;
      this.label = setup.words.heat_label.replace("{symbol}", setup.symbol);
      this.columns = columns;
      this.marks = marks;
      this.plan();
    },
    add(columns, marks) {
      this.columns.push(...columns);
      if (this.columns.length > KEPT) this.columns.splice(0, this.columns.length - KEPT);
      this.marks = marks;
      this.plan();
    },
    plan() {
      if (this.planned) return;
      this.planned = true;
      requestAnimationFrame(() => {
        this.planned = false;
        if (this.setup && this.$refs.box) this.draw();
      });
    },
    colours() {
      const style = getComputedStyle(document.body);
      const of = (name) => style.getPropertyValue(name).trim();
      return {
        bid: rgb(of("--heat-bid")), ask: rgb(of("--heat-ask")), ground: rgb(of("--heat-ground")),
        bidLine: of("--bid"), askLine: of("--ask"), text: of("--muted"), line: of("--line"), edge: of("--panel"),
        buy: of("--bid"), sell: of("--ask"), ink: of("--ink"),
      };
    },
    frame() {
      const columns = this.columns;
      const last = columns[columns.length - 1][0];
      const span = Math.min(Math.max(last - columns[0][0], SHORTEST_MS), LONGEST_MS);
      const start = last - span;
      const shown = columns.filter((column) => column[0] >= start);
      let low = Infinity, high = -Infinity;
      for (const [, bid, ask] of shown) {
        if (bid !== null) low = Math.min(low, bid);
        if (ask !== null) high = Math.max(high, ask);
      }
      // A dozen levels on either side of the newest prices, at the ladder's usual distance.
      for (const column of shown.slice(-40)) {
        for (const side of [column[3], column[4]]) {
          for (let i = 0; i < Math.min(side.length, 24); i += 2) {
            low = Math.min(low, side[i]);
            high = Math.max(high, side[i]);
          }
        }
      }
      if (!isFinite(low) || !isFinite(high)) return null;
      const room = Math.max(1, (high - low) * 0.03);
      return { last, span, start, shown, low: low - room, high: high + room };
    },
    draw() {
      const box = this.$refs.box, canvas = this.$refs.canvas;
      const width = box.clientWidth, height = box.clientHeight, ratio = window.devicePixelRatio || 1;
      if (width < 40 || height < 40) return;
      if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
      }
      const pen = canvas.getContext("2d");
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, width, height);
      pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
      const colours = this.colours();
      const frame = this.columns.length ? this.frame() : null;
      this.shownFrame = frame;
      if (!frame) {
        pen.fillStyle = colours.text;
        pen.textAlign = "center";
        pen.fillText(this.words.heat_empty, width / 2, height / 2);
        return;
      }
      const plot = { left: LEFT, top: TOP, width: width - LEFT - RIGHT, height: height - TOP - BOTTOM };
      this.plot = plot;
      this.x = (ms) => plot.left + ((ms - frame.start) / frame.span) * plot.width;
      this.y = (price) => plot.top + ((frame.high - price) / (frame.high - frame.low)) * plot.height;
      this.book(pen, frame, plot, colours);
      this.axes(pen, frame, plot, colours, width);
      pen.save();
      pen.beginPath();
      pen.rect(plot.left, plot.top, plot.width, plot.height);
      pen.clip();
      this.line(pen, frame, 1, colours.bidLine, []);
      this.line(pen, frame, 2, colours.askLine, []);
      this.orders(pen, frame, colours);
      pen.restore();
      this.fills(pen, frame, plot, colours);
      if (this.pointed) this.point(this.pointed);
      canvas.dataset.columns = frame.shown.length;
      canvas.dataset.last = frame.last;
    },
    until(frame, i) {
      // A column stands until the next one, and no longer than a few of them usually do: what is missing stays blank.
      const next = i + 1 < frame.shown.length ? frame.shown[i + 1][0] : frame.last + this.step(frame);
      return Math.min(next, frame.shown[i][0] + Math.max(3000, 4 * this.step(frame)));
    },
    step(frame) {
      const gaps = [];
      for (let i = Math.max(1, frame.shown.length - 60); i < frame.shown.length; i++)
        gaps.push(frame.shown[i][0] - frame.shown[i - 1][0]);
      gaps.sort((a, b) => a - b);
      return gaps.length ? gaps[gaps.length >> 1] : 500;
    },
    book(pen, frame, plot, colours) {
      const sizes = [];
      for (const column of frame.shown)
        for (const side of [column[3], column[4]]) for (let i = 1; i < side.length; i += 2) sizes.push(side[i]);
      sizes.sort((a, b) => a - b);
      const most = sizes.length ? sizes[Math.floor((sizes.length - 1) * 0.98)] : 1;
      const scale = 1 / Math.log1p(most || 1);
      const wide = Math.max(1, Math.round(plot.width)), tall = Math.max(1, Math.round(plot.height));
      const image = new ImageData(wide, tall);
      const pixels = image.data;
      const perMs = wide / frame.span, perTick = tall / (frame.high - frame.low);
      frame.shown.forEach((column, i) => {
        const from = Math.max(0, Math.round((column[0] - frame.start) * perMs));
        const to = Math.min(wide, Math.max(from + 1, Math.round((this.until(frame, i) - frame.start) * perMs)));
        [[column[3], colours.bid, -1], [column[4], colours.ask, 1]].forEach(([side, colour, away]) => {
          const gap = this.gap(side);
          for (let k = 0; k < side.length; k += 2) {
            // A level is drawn as far as the next one, where that is not a hole in the book.
            const next = k + 2 < side.length ? Math.abs(side[k + 2] - side[k]) : gap;
            const share = Math.min(1, Math.log1p(side[k + 1]) * scale);
            const edge = side[k] + away * Math.min(next || gap, 2 * gap);
            const above = Math.max(side[k], edge), below = Math.min(side[k], edge);
            const top = Math.max(0, Math.round((frame.high - above) * perTick));
            const bottom = Math.min(tall, Math.max(top + 1, Math.round((frame.high - below) * perTick)));
            const alpha = Math.round(20 + 235 * share * share);
            for (let row = top; row < bottom; row++) {
              for (let at = (row * wide + from) * 4, end = (row * wide + to) * 4; at < end; at += 4) {
                pixels[at] = colour[0];
                pixels[at + 1] = colour[1];
                pixels[at + 2] = colour[2];
                pixels[at + 3] = alpha;
              }
            }
          }
        });
      });
      const sheet = document.createElement("canvas");
      sheet.width = wide;
      sheet.height = tall;
      sheet.getContext("2d").putImageData(image, 0, 0);
      pen.fillStyle = `rgb(${colours.ground[0]},${colours.ground[1]},${colours.ground[2]})`;
      pen.fillRect(plot.left, plot.top, plot.width, plot.height);
      pen.imageSmoothingEnabled = false; // a price has an edge, on a screen of more pixels too
      pen.drawImage(sheet, plot.left, plot.top, plot.width, plot.height);
      const legend = this.words.heat_legend.replace("{lots}", this.lots(most));
      this.legend = !sizes.length ? "" : `${legend} · ${this.words.heat_gap}`;
    },
    gap(side) {
      const gaps = [];
      for (let i = 2; i < side.length; i += 2) gaps.push(Math.abs(side[i] - side[i - 2]));
      gaps.sort((a, b) => a - b);
      return gaps.length ? gaps[gaps.length >> 1] || 1 : 1;
    },
    lots(size) {
      return size >= 100 ? size.toFixed(0) : size >= 10 ? size.toFixed(1) : size >= 0.1 ? size.toFixed(2) : String(Number(size.toPrecision(3)));
    },
    price(ticks) {
      return (ticks / 10 ** this.setup.digits).toFixed(this.setup.digits);
    },
    axes(pen, frame, plot, colours, width) {
      pen.fillStyle = colours.text;
      pen.strokeStyle = colours.line;
      pen.lineWidth = 1;
      pen.textAlign = "left";
      pen.textBaseline = "middle";
      const rough = (frame.high - frame.low) / Math.max(2, plot.height / 44);
      const power = 10 ** Math.floor(Math.log10(rough));
      const step = Math.max(1, [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough));
      const newest = frame.shown[frame.shown.length - 1];
      const told = [1, 2].filter((k) => newest[k] !== null).map((k) => this.y(newest[k]));
      for (let tick = Math.ceil(frame.low / step) * step; tick <= frame.high; tick += step) {
        const y = Math.round(this.y(tick)) + 0.5;
        pen.globalAlpha = 0.5;
        pen.beginPath();
        pen.moveTo(plot.left, y);
        pen.lineTo(plot.left + plot.width, y);
        pen.stroke();
        pen.globalAlpha = 1;
        if (told.every((other) => Math.abs(other - y) > 15)) pen.fillText(this.price(tick), plot.left + plot.width + 8, y);
      }
      // The newest bid and ask, kept apart where they are close.
      const tags = [[2, colours.askLine, -1], [1, colours.bidLine, 1]].filter(([k]) => newest[k] !== null);
      const apart = tags.length === 2 && told[0] - told[1] < 16 ? (16 - Math.abs(told[0] - told[1])) / 2 : 0;
      for (const [k, colour, away] of tags) {
        const y = this.y(newest[k]) + away * apart;
        pen.fillStyle = colour;
        pen.fillRect(plot.left + plot.width + 3, y - 8, width - plot.left - plot.width - 4, 16);
        pen.fillStyle = colours.edge;
        pen.fillText(this.price(newest[k]), plot.left + plot.width + 8, y + 0.5);
      }
      pen.fillStyle = colours.text;
      pen.textBaseline = "alphabetic";
      pen.textAlign = "center";
      const spans = [5000, 10000, 15000, 30000, 60000, 120000];
      const every = spans.find((ms) => (ms / frame.span) * plot.width > 70) || 300000;
      for (let ms = Math.ceil(frame.start / every) * every; ms <= frame.last; ms += every) {
        const x = this.x(ms);
        if (x > plot.left + 24 && x < plot.left + plot.width - 20)
          pen.fillText(new Date(ms).toISOString().slice(11, 19), x, plot.top + plot.height + 15);
      }
      pen.textAlign = "left";
      pen.fillText("UTC", plot.left + plot.width + 8, plot.top + plot.height + 15);
    },
    line(pen, frame, k, colour) {
      pen.strokeStyle = colour;
      pen.lineWidth = 1.5;
      pen.beginPath();
      let wasKnown = false;
      frame.shown.forEach((column, i) => {
        if (column[k] === null) {
          wasKnown = false;
          return;
        }
        const y = this.y(column[k]);
        if (wasKnown) pen.lineTo(this.x(column[0]), y);
        else pen.moveTo(this.x(column[0]), y);
        pen.lineTo(this.x(this.until(frame, i)), y);
        wasKnown = i + 1 < frame.shown.length && this.until(frame, i) === frame.shown[i + 1][0];
      });
      pen.stroke();
    },
    orders(pen, frame, colours) {
      frame.shown.forEach((column, i) => {
        const resting = column[5];
        for (let k = 0; k < resting.length; k += 2) {
          const y = this.y(resting[k + 1]);
          pen.strokeStyle = colours.ink;
          pen.lineWidth = 2;
          pen.setLineDash([5, 3]);
          pen.lineDashOffset = this.x(column[0]) % 8;
          pen.beginPath();
          pen.moveTo(this.x(column[0]), y);
          pen.lineTo(this.x(this.until(frame, i)), y);
          pen.stroke();
          pen.setLineDash([]);
        }
      });
      const newest = frame.shown[frame.shown.length - 1][5];
      for (let k = 0; k < newest.length; k += 2) {
        const x = this.x(frame.last) - 7, y = this.y(newest[k + 1]);
        this.shape(pen, [[0, -6], [6, 0], [0, 6], [-6, 0]], x, y, newest[k] > 0 ? colours.buy : colours.sell, colours);
      }
    },
    fills(pen, frame, plot, colours) {
      for (const [, ms, side, tick] of this.marks) {
        if (ms < frame.start || ms > frame.last + 1000) continue;
        const x = Math.min(this.x(ms), plot.left + plot.width - 7);
        const y = Math.min(Math.max(this.y(tick), plot.top + 7), plot.top + plot.height - 7);
        const shape = side > 0 ? [[0, -7], [7, 6], [-7, 6]] : [[0, 7], [7, -6], [-7, -6]];
        this.shape(pen, shape, x, y, side > 0 ? colours.buy : colours.sell, colours);
      }
    },
    shape(pen, corners, x, y, colour, colours) {
      pen.beginPath();
      corners.forEach(([dx, dy], i) => (i ? pen.lineTo(x + dx, y + dy) : pen.moveTo(x + dx, y + dy)));
      pen.closePath();
      pen.lineWidth = 3;
      pen.strokeStyle = colours.edge;
      pen.stroke();
      pen.fillStyle = colour;
      pen.fill();
      pen.lineWidth = 1;
      pen.strokeStyle = colours.ink;
      pen.stroke();
    },
    unpoint() {
      this.pointed = null;
      this.$refs.hover.style.display = "none";
    },
    point(event) {
      const frame = this.shownFrame, plot = this.plot, hover = this.$refs.hover;
      if (!frame || !plot) return;
      const x = event.offsetX, y = event.offsetY;
      const isInside = x >= plot.left && x <= plot.left + plot.width && y >= plot.top && y <= plot.top + plot.height;
      hover.style.display = isInside ? "block" : "none";
      if (!isInside) return;
      const ms = frame.start + ((x - plot.left) / plot.width) * frame.span;
      const tick = frame.high - ((y - plot.top) / plot.height) * (frame.high - frame.low);
      let i = frame.shown.length - 1;
      while (i > 0 && frame.shown[i][0] > ms) i--;
      const column = frame.shown[i];
      let text = "";
      if (ms >= column[0] && ms <= this.until(frame, i)) {
        for (const [side, name, away] of [[column[3], this.words.heat_bid, -1], [column[4], this.words.heat_ask, 1]]) {
          const gap = this.gap(side);
          for (let k = 0; k < side.length; k += 2) {
            const along = (tick - side[k]) * away;
            const next = k + 2 < side.length ? Math.abs(side[k + 2] - side[k]) : gap;
            if (along >= 0 && along < Math.min(next || gap, 2 * gap)) text = ` · ${name} ${this.price(side[k])}: ${this.lots(side[k + 1])} ${this.words.lots_unit}`;
          }
        }
      }
      hover.textContent = `${new Date(ms).toISOString().slice(11, 19)} UTC · ${this.price(Math.round(tick))}${text}`;
      hover.style.left = `${Math.min(x + 12, plot.left + plot.width - hover.offsetWidth)}px`;
      hover.style.top = `${Math.max(y - 26, 0)}px`;
    },
  },
};

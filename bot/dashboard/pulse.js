// Says by itself that the server is gone; switches light and dark, which the browser remembers, and so does the tab of
// the symbol that is looked at.

const KEY = "microlev-theme", SYMBOL = "microlev-symbol";

function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // a browser that keeps nothing
  }
}

export default {
  template: `
    <div class="pulse">
      <button type="button" class="theme" :aria-label="switch_name" :title="switch_name" data-testid="theme" @click="turn">
        <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
          <path d="M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm0 2.2v15.6a7.8 7.8 0 0 1 0-15.6z" fill-rule="evenodd"/>
        </svg>
      </button>
      <div class="lost" role="alert" v-if="isLost" data-testid="page_lost">{{ lost }}</div>
    </div>`,
  props: { lost: String, switch: String, language: String, limit: Number, beat: Number, old: Boolean, symbol: String },
  data: () => ({ isLost: false }),
  computed: {
    switch_name() {
      return this.switch;
    },
  },
  created() {
    this.heard = performance.now();
  },
  mounted() {
    // So that the browser takes the right shapes of characters, and readers the right voice.
    document.documentElement.lang = this.language;
    this.media = matchMedia("(prefers-color-scheme: dark)");
    this.shade();
    this.media.addEventListener("change", this.shade);
    this.timer = setInterval(() => {
      this.isLost = performance.now() - this.heard > this.limit * 1000 + 500;
      this.mark();
    }, 500);
    this.mark();
    try {
      const kept = sessionStorage.getItem(SYMBOL);
      if (kept) this.$emit("kept", kept);
    } catch {}
  },
  unmounted() {
    clearInterval(this.timer);
    this.media.removeEventListener("change", this.shade);
  },
  watch: {
    beat() {
      this.heard = performance.now();
      this.mark();
    },
    symbol(chosen) {
      try {
        if (chosen) sessionStorage.setItem(SYMBOL, chosen);
      } catch {}
    },
  },
  methods: {
    mark() {
      document.body.classList.toggle("is-old", Boolean(this.old) || this.isLost);
    },
    shade() {
      const choice = stored();
      Quasar.Dark.set(choice ? choice === "dark" : this.media.matches);
      document.getElementById("nicegui-color-scheme")?.setAttribute("content", Quasar.Dark.isActive ? "dark" : "light");
    },
    turn() {
      try {
        localStorage.setItem(KEY, Quasar.Dark.isActive ? "light" : "dark");
      } catch {}
      Quasar.Dark.set(!Quasar.Dark.isActive);
      document.getElementById("nicegui-color-scheme")?.setAttribute("content", Quasar.Dark.isActive ? "dark" : "light");
    },
  },
};

// Shows nodes as `bot/dashboard/tree.py` makes them: [tag, {attribute: text}, [nodes]].
// Vue compares them with what is shown and changes only what differs.

const NEVER = /^on|^innerhtml$|^textcontent$|^srcdoc$/i;

function localTime(iso) {
  const moment = new Date(iso);
  return isNaN(moment) ? undefined : moment.toLocaleString(undefined, { timeZoneName: "short" });
}

function made(node) {
  if (typeof node === "string") return node;
  const [tag, attributes, children] = node;
  const shown = {};
  for (const [name, text] of Object.entries(attributes)) {
    if (!NEVER.test(name)) shown[name === "key" ? name : `^${name}`] = text;
  }
  if (tag === "time" && attributes.datetime) shown["^title"] = localTime(attributes.datetime);
  if (tag === "script" || tag === "iframe") return null;
  return Vue.h(tag, shown, children.map(made));
}

export default {
  props: { tree: Array },
  render() {
    return Vue.h("div", { class: "tree", onClick: this.clicked }, (Vue.toRaw(this.tree) ?? []).map(made));
  },
  methods: {
    clicked(event) {
      const source = event.target.closest("[data-act]");
      if (source && !source.hasAttribute("disabled")) this.$emit("act", source.getAttribute("data-act"));
    },
  },
};

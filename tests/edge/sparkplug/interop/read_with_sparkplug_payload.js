// Prints every Sparkplug message as npm's sparkplug-payload reads it, one JSON object a line.
// node read_with_sparkplug_payload.js MODULES PORT
"use strict";
const { createRequire } = require("module");
const [modules, port] = process.argv.slice(2);
const load = createRequire(modules + "/");
const mqtt = load("mqtt");
const payloads = load("sparkplug-payload").get("spBv1.0");

// Numbers of 64 bits come as objects.
const plain = (value) => (value && typeof value.toNumber === "function" ? value.toNumber() : value);

function properties(found) {
  const all = Object.entries(found || {}).map(([key, entry]) => [key, plain(entry.value)]);
  return Object.fromEntries(all);
}

function read(topic, raw) {
  const payload = payloads.decodePayload(raw);
  const metrics = (payload.metrics || []).map((metric) => ({
    name: metric.name,
    type: metric.type,
    value: plain(metric.value),
    timestamp: plain(metric.timestamp),
    historical: Boolean(metric.isHistorical),
    properties: properties(metric.properties),
  }));
  const seq = payload.seq === undefined ? null : plain(payload.seq);
  return { topic, seq, metrics };
}

const client = mqtt.connect(`mqtt://127.0.0.1:${port}`);
client.on("connect", () =>
  client.subscribe(["spBv1.0/#", "end"], { qos: 1 }, () => console.log("READY")),
);
client.on("message", (topic, raw) => {
  if (topic === "end") {
    client.end();
    return;
  }
  let found;
  try {
    found = read(topic, raw);
  } catch (error) {
    found = { topic, error: String(error) };
  }
  console.log(JSON.stringify(found));
});

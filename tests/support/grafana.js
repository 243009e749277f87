// Runs transformations of panels as Grafana does: reads a list of {transformations, frames}, writes the tables.
globalThis.window = globalThis;
globalThis.localStorage = {getItem: () => null, setItem() {}};
const {toDataFrame, transformDataFrame, standardTransformers, standardTransformersRegistry} = require("@grafana/data");
const {lastValueFrom} = require("rxjs");

const known = new Map(Object.values(standardTransformers).map((one) => [one.id, one]));
standardTransformersRegistry.setInit(() =>
  [...known.values()].map((one) => ({id: one.id, name: one.name, transformation: one})),
);

const table = (frame) => Object.fromEntries(frame.fields.map((one) => [one.config.displayName ?? one.name, [...one.values]]));
const shown = ({transformations, frames}) =>
  lastValueFrom(transformDataFrame(transformations, frames.map((frame) => toDataFrame(frame))));
const panels = JSON.parse(require("fs").readFileSync(0, "utf8"));
Promise.all(panels.map(shown)).then((found) => console.log(JSON.stringify(found.map((frames) => frames.map(table)))));

// The question asked again in the browser, by the model itself compiled to WebAssembly. Every control sets fields of the
// scenario by pointer, as --set does.
import { when_drawn } from './charts.js';
import { h, named } from './dom.js';
import { change, count, seconds } from './format.js';
import { total_of } from './parts/breakdown.js';

const carried = () => document.getElementById('model');
export const has_model = () => !!carried() && typeof what_if_model === 'function';

// The module, with the files that the scenarios name.
async function load(files) {
  const letters = atob(carried().textContent), packed = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; ++i) packed[i] = letters.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  const model = await what_if_model({ wasmBinary: new Uint8Array(await new Response(stream).arrayBuffer()) });
  for (const [path, text] of Object.entries(files ?? {})) {
    const folder = path.replace(/\/?[^/]*$/, '');
    if (folder) model.FS.createPath(model.FS.cwd(), folder, true, true);
    model.FS.writeFile(path, text);
  }
  return {
    known: JSON.parse(model.ccall('known', 'string', [], [])),
    ask: question => JSON.parse(model.ccall('answer', 'string', ['string'], [JSON.stringify(question)])),
  };
}

let loaded = null;  // once a page

const at = (object, pointer) => pointer.split('/').slice(1).reduce((value, key) => value?.[key], object);
const powers = (low, high) => Array.from({ length: Math.log2(high / low) + 1 }, (_, i) => low * 2 ** i);
const with_now = (values, now) => [...new Set([...values, now])].sort((a, b) => a - b);
const factors = [0.25, 0.35, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 4];

// "4.8 TB/s" times a factor.
const scaled = (text, factor) => text.replace(/^[-+.\deE]+/, number => String(Number((Number(number) * factor).toPrecision(6))));

// {id, label, values, now, text, set(fields, value)}: fields maps pointers to values.
function controls_of(answer, known) {
  const s = answer.scenario, p = s.parallelism ?? {}, w = s.workload ?? {}, list = [];
  const field = (id, label, pointer, values, text = count) => {
    const now = at(s, pointer);
    if (typeof now === 'number') list.push({ id, label, values: with_now(values, now), now, text, set: (fields, value) => { fields[pointer] = value; } });
  };
  const choice = (id, label, pointer, values) => {
    const now = typeof at(s, pointer) === 'string' ? at(s, pointer) : 'as asked';
    list.push({ id, label, values: values.includes(now) ? values : [now, ...values], now, choice: true, set: (fields, value) => { if (value !== 'as asked') fields[pointer] = value; } });
  };
  choice('hardware', 'Machine', '/hardware', known.hardware);
  choice('recipe', 'Recipe', '/recipe', known.recipes);
  field('devices', 'Devices', '/devices', [1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8].map(f => f * s.devices).filter(Number.isInteger));
  if (!answer.wafer) {
    field('ep', 'Expert parallel', '/parallelism/ep', powers(1, 256));
    field('pp', 'Pipeline stages', '/parallelism/pp', powers(1, 32));
    field('vpp', 'Chunks a stage', '/parallelism/vpp', [1, 2, 4, 8]);
    field('tp', 'Tensor parallel', '/parallelism/tp', [1, 2, 4, 8]);
    field('cp', 'Context parallel', '/parallelism/cp', [1, 2, 4, 8]);
  }
  field('micro_batch', 'Micro-batch, sequences', '/workload/micro_batch', [1, 2, 4, 8]);
  field('global_batch', 'Batch, sequences', '/workload/global_batch', [1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8].map(f => f * w.global_batch).filter(Number.isInteger));
  field('sequence', 'Tokens a sequence', '/workload/sequence', powers(1024, 131072));
  field('concurrency', 'Requests at once', '/workload/concurrency', powers(1, 1024));
  field('input', 'Tokens in', '/workload/input', powers(128, 131072));
  field('output', 'Tokens out', '/workload/output', powers(128, 16384));
  field('tokens', 'Tokens a device', '/workload/tokens', powers(256, 65536));
  const imbalance = s.routing?.popularity === 'overload' ? s.routing.alpha : s.routing?.popularity === 'balanced' ? 1 : null;
  if (imbalance && !answer.wafer) list.push({ id: 'imbalance', label: 'Hottest rank over the mean', values: with_now([1, 1.05, 1.1, 1.2, 1.3, 1.5, 2, 3], imbalance), now: imbalance, text: v => v.toFixed(2),
    set: (fields, value) => { fields['/routing'] = value > 1 ? { popularity: 'overload', alpha: value } : { popularity: 'balanced' }; } });
  const rates = (answer.page?.elasticities ?? []).filter(e => e.kind === 'rate' && e.pointer?.startsWith('/hardware/') && /bandwidth|peak/.test(e.pointer));
  for (const e of rates.slice(0, 5)) {
    list.push({ id: e.pointer, label: e.name, values: factors, now: 1, text: f => scaled(e.value, f), of_machine: true, set: (fields, value) => { fields[e.pointer] = scaled(e.value, value); } });
  }
  return list;
}

// The scenario as typed, with fields over it; what was worked out for the old layout is worked out anew.
function question_of(answer, fields) {
  const scenario = structuredClone(answer.page?.asked ?? answer.scenario);
  scenario.workload ??= {};
  scenario.workload.kind = answer.kind;
  const moved = pointers => pointers.some(pointer => pointer in fields);
  if (moved(['/parallelism/pp', '/parallelism/vpp'])) delete scenario.workload.pipeline_layout;
  if (scenario.parallelism && moved(['/devices', '/parallelism/tp', '/parallelism/pp', '/parallelism/cp', '/hardware'])) scenario.parallelism.dp = 'auto';
  return { scenario, set: fields };
}

function control_element(control, changed) {
  const output = h('output', {}, control.choice ? '' : control.text(control.now));
  const id = `control-${control.id.replaceAll('/', '-')}`;
  const input = control.choice
    ? h('select', { id }, control.values.map(value => h('option', { value, selected: value === control.now }, value)))
    : h('input', { id, type: 'range', min: 0, max: control.values.length - 1, step: 1, value: control.values.indexOf(control.now), 'aria-valuetext': control.text(control.now) });
  const box = h('div', { class: 'control' }, h('label', { for: id }, named(control.label.replace(/^./u, letter => letter.toUpperCase())), output), input);
  const value = () => control.choice ? input.value : control.values[Number(input.value)];
  input.addEventListener('input', () => {
    if (!control.choice) { output.textContent = control.text(value()); input.setAttribute('aria-valuetext', control.text(value())); }
    box.classList.toggle('changed', value() !== control.now);
    changed();
  });
  const reset = () => {
    if (control.choice) input.value = control.now; else { input.value = control.values.indexOf(control.now); output.textContent = control.text(control.now); }
    box.classList.remove('changed');
  };
  return { box, value, reset, control };
}

const base_time = answer => answer.feasible === false ? null : total_of(answer);

// The panel, or null where there is nothing to move. `show` draws an answer.
export function controls(page, answer, show) {
  if (!['train', 'layer', 'serve'].includes(answer.kind) || !answer.scenario || !has_model()) return null;
  const list = h('div', { class: 'grid' }), beside = matchMedia('(min-width: 1081px)'), fold = h('details', { open: beside.matches }, h('summary', {}, 'Move the inputs'), list), now = h('div', { class: 'now', role: 'status', 'aria-live': 'polite' }, 'Loading the model…');
  const panel = h('aside', { class: 'controls', 'aria-label': 'What if' }, h('div', { class: 'inner' }, h('h2', {}, 'What if'), h('p', {}, 'The same model, compiled for this page; nothing leaves it.'), now, fold));
  beside.addEventListener('change', () => { if (beside.matches) fold.open = true; });
  const start = async () => {
    const model = await (loaded ??= load(page.files));
    let waiting = null;
    const say = (result, moved) => {
      if (result.error) return now.replaceChildren(h('b', { class: 'worse' }, 'Cannot be asked'), named(result.error.replace(/^scenario#?/, ''), 'span'));
      if (result.feasible === false) return now.replaceChildren(h('b', { class: 'worse' }, 'Cannot run'), named(result.reason, 'span'));
      const time = total_of(result), before = base_time(answer);
      const against = before && moved ? change(time / before - 1, 1) : null;
      now.replaceChildren(h('b', {}, seconds(time)), !moved ? 'as asked' : against ? `${against} against the question as asked` : '');
    };
    const ask = () => {
      waiting = null;
      const fields = {};
      const machine = elements.find(e => e.control.id === 'hardware');
      const same_machine = machine.value() === machine.control.now;
      for (const e of elements) {
        if (e.value() !== e.control.now && (same_machine || !e.control.of_machine)) e.control.set(fields, e.value());
      }
      const moved = Object.keys(fields).length > 0, begin = performance.now();
      const result = moved ? model.ask(question_of(answer, fields)) : answer;
      panel.dataset.took = Math.round(performance.now() - begin);
      panel.dataset.result = result.error ? 'error' : result.feasible === false ? 'infeasible' : String(total_of(result));
      say(result, moved);
      if (!result.error) show({ ...result, set: fields });
    };
    const changed = () => { if (waiting === null) waiting = setTimeout(ask, 60); };
    const elements = controls_of(answer, model.known).map(control => control_element(control, changed));
    list.replaceChildren(...elements.map(e => e.box), h('button', { type: 'button', class: 'quiet', onclick: () => { elements.forEach(e => e.reset()); ask(); } }, 'As asked'));
    say(answer, false);
    panel.dataset.ready = 'yes';
  };
  const begin = () => start().catch(problem => now.replaceChildren(h('b', {}, 'No sliders here'), String(problem.message ?? problem)));
  setTimeout(() => when_drawn(() => requestIdleCallback(begin, { timeout: 500 })));  // the charts first
  return panel;
}

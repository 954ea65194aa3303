// The page: reads the answers it carries and shows each by its kind. A new kind of answer is one file in kinds/ and a line here.
import { h, named } from './dom.js';
import { draw_new, when_drawn } from './charts.js';
import { controls, has_model } from './what_if.js';
import * as check from './kinds/check.js';
import * as compare from './kinds/compare.js';
import * as explain from './kinds/explain.js';
import * as load from './kinds/load.js';
import * as route from './kinds/route.js';
import * as search from './kinds/search.js';
import * as several from './kinds/several.js';
import * as serve from './kinds/serve.js';
import * as solve from './kinds/solve.js';
import * as sweep from './kinds/sweep.js';
import * as train from './kinds/train.js';

const kinds = { train, layer: train, serve, load, explain, solve, compare, sweep, search, route, check, calibrate: check };
const page = JSON.parse(document.getElementById('answer').textContent);
const root = document.getElementById('root');

function shown(section) {
  return h('section', { id: section.id, 'aria-labelledby': `${section.id}-title` }, h('h2', { id: `${section.id}-title` }, section.title), section.lead && h('p', { class: 'lead' }, section.lead), section.content);
}

function parts_of(answer, extra) {
  const kind = kinds[answer.kind];
  const view = kind ? kind.render(answer, { command: page.command, ...extra })
    : { kicker: 'Answer', title: [`An answer of kind ${answer.kind}, which this page cannot draw.`], figures: [], warnings: [], sections: [] };
  const header = h('header', {}, h('p', { class: 'kicker' }, view.kicker), h('h1', { id: 'answer-text', tabindex: -1 }, view.title),
    view.question && h('p', { class: 'question', dir: 'auto' }, view.question),
    view.figures.length > 0 && h('dl', { class: 'figures' }, view.figures),
    view.warnings.length > 0 && h('ul', { class: 'notes' }, view.warnings.map(w => h('li', {}, named(w.message, 'span'), w.advice && h('small', {}, h('br'), named(w.advice, 'span'))))));
  return [header, h('main', {}, view.sections.filter(Boolean).map(shown), h('footer', {}, `moeline ${page.moeline ?? ''}`, ['train', 'layer', 'serve'].includes(answer.kind) && !has_model() ? '; built without the model for browsers, so this page has no sliders (Emscripten was missing)' : ''))];
}

// One answer after another in the same frame; what was open stays open.
function frame_of(answer) {
  const frame = h('div', { class: 'page' });
  const fill = shown_answer => {
    const outer = 'section > details, .ops > details';
    const opened = [...frame.querySelectorAll(outer)].map(d => d.open);
    const [header, main] = parts_of(shown_answer);
    const all = [...main.querySelectorAll(outer)];
    if (all.length === opened.length) all.forEach((d, i) => { d.open = opened[i]; });
    frame.querySelector(':scope > header')?.remove();
    frame.querySelector(':scope > main')?.remove();
    frame.prepend(header);
    frame.append(main);
    document.title = header.querySelector('h1').textContent;
    draw_new();
  };
  const aside = controls(page, answer, fill);
  if (aside) { frame.classList.add('with-controls'); frame.append(aside); }
  return [frame, () => fill(answer)];
}

const choose = (answer, place) => { const [frame, fill] = frame_of(answer); place.replaceChildren(frame); fill(); };
if (page.answers.length === 1) choose(page.answers[0], root);
else {
  const [element, fill] = several.element(page, choose);
  root.replaceChildren(element);
  fill();
}
when_drawn(() => performance.measure('drawn'));  // from when the page was asked for

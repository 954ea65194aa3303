// Pages of --report in headless Chromium: drawn, moved, filtered, read by keyboard.
//   node run.mjs MOELINE NPM_FOLDER CHROMIUM [CASE...]      cases are the functions below; 77: skipped, with the reason
import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';

const [program, npm, chromium_path, ...wanted] = process.argv.slice(2);
const { chromium } = createRequire(join(resolve(npm), 'package.json'))('playwright-core');
const moeline = resolve(program), root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const scratch = mkdtempSync(join(tmpdir(), 'moeline-browser-'));
const small = ['--model', 'qwen3-30b-a3b', '--hardware', 'h200-sxm', '--devices', '8'];
const problems = [];

const holds = (true_or_not, what) => { if (!true_or_not) problems.push(what); };
const ask = (...words) => { const made = spawnSync(moeline, words, { cwd: scratch, encoding: 'utf8', maxBuffer: 1 << 28 }); return made; };
const answered = (...words) => execFileSync(moeline, words, { cwd: scratch, encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'ignore'] });
const page_of = (name, ...words) => { const file = join(scratch, name); ask(...words, '--report', file); return file; };
const write = (name, json) => { const file = join(scratch, name); writeFileSync(file, typeof json === 'string' ? json : JSON.stringify(json)); return file; };

let browser;
// Opens a page, waits until it is drawn; anything on the console is a problem.
async function opened(file, { width = 1400, scheme = 'light' } = {}) {
  browser ??= await chromium.launch({ executablePath: chromium_path, args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme, acceptDownloads: true });
  const page = await context.newPage();
  page.on('console', message => { if (['error', 'warning'].includes(message.type())) problems.push(`console: ${message.text()}`); });
  page.on('pageerror', error => problems.push(`error: ${error.message}`));
  page.on('request', request => { if (!/^(file|data|blob):/.test(request.url())) problems.push(`asks the network for ${request.url()}`); });
  page.clock_of_thread = await context.newCDPSession(page);  // counts from here
  await page.clock_of_thread.send('Performance.enable', { timeDomain: 'threadTicks' });
  await page.goto(`file://${file}`);
  await page.waitForSelector('html[data-ready]', { timeout: 30000 });
  return page;
}
const seconds_drawn = page => page.evaluate(() => performance.getEntriesByName('drawn')[0].duration / 1000);  // since the page was asked for
// A page in at most three tries. Where others keep the machine busy, less than what the drawing thread may work counts, too.
async function opened_quickly(file, what) {
  holds(statSync(file).size < 3e6, `${what}: the page has ${statSync(file).size} bytes, expected less than 3 MB`);
  const took = [];
  while (true) {
    const page = await opened(file);
    took.push(await seconds_drawn(page));
    const worked = (await page.clock_of_thread.send('Performance.getMetrics')).metrics.find(metric => metric.name === 'ThreadTime').value;
    if (took.at(-1) < 2 || took.length === 3) {
      holds(Math.min(...took, worked) < 2, `${what}: drawn in ${took.map(t => t.toFixed(2)).join(', ')} s, of which it worked ${worked.toFixed(2)}, expected less than 2`);
      return page;
    }
    await page.context().close();
  }
}
const drawn = page => page.evaluate(() => [...document.querySelectorAll('.chart')].map(box => ({ said: /\S/.test(box.getAttribute('aria-label')) && !/NaN|undefined|This is a chart/.test(box.getAttribute('aria-label')), marks: box.querySelectorAll('svg path, canvas').length })));
async function all_drawn(page, count, what) {
  await page.waitForSelector('html[data-ready]');
  const charts = await drawn(page);
  holds(charts.length === count, `${what}: ${charts.length} charts, expected ${count}`);
  holds(charts.every(chart => chart.said && chart.marks > 0), `${what}: a chart is empty or says nothing`);
}
const text_of = async (page, selector) => (await page.locator(selector).first().innerText()).replaceAll('\u00a0', ' ');

const cases = {
  async a_training_step_is_drawn_whole() {
    const file = page_of('train.html', 'train', join(root, 'examples/deepseek-v3-256-gb200.json'));
    const page = await opened_quickly(file, 'train');
    await all_drawn(page, await page.evaluate(() => document.querySelectorAll('main .chart').length), 'train');
    const screen = answered('train', join(root, 'examples/deepseek-v3-256-gb200.json'));
    const step = screen.match(/step +([\d.]+ m?s)/)[1];
    holds((await text_of(page, 'h1')).includes(step), `the heading lacks "${step}" of the screen`);
    for (const id of ['time', 'helps', 'memory', 'timeline', 'roofline', 'ops', 'sources', 'again']) holds(await page.locator(`section#${id}`).count() === 1, `no section ${id}`);
    await page.locator('#ops details').first().locator('summary').first().click();
    await page.locator('#ops details details').first().locator('summary').first().click();
    holds(/=.*(max|launch|latency)/.test(await text_of(page, '#ops .formula')), 'an op shows no formula');
  },

  async a_step_in_time_is_looked_at_closely_by_keyboard() {
    const page = await opened(page_of('timed.html', 'train', ...small, '--parallel', 'pp=4,ep=2'));
    const shown = () => text_of(page, '#timeline [role=status]');
    const whole = await shown();
    holds(/^0 to [\d.]+ m?s$/.test(whole), `the whole step is "${whole}"`);
    await page.locator('#timeline [role=group] button').first().focus();
    await page.keyboard.press('Enter');
    const closer = await shown();
    holds(closer !== whole && !closer.startsWith('0 '), `closer shows ${closer}`);
    await page.keyboard.press('ArrowRight');
    holds(await shown() !== closer, 'an arrow does not move');
    await page.keyboard.press('0');
    holds(await shown() === whole, `0 shows ${await shown()}, not ${whole}`);
    const said = () => page.locator('#timeline .chart').last().getAttribute('aria-label');
    const forward = await said();
    await page.locator('#timeline select').selectOption({ index: 1 });
    holds(await said() !== forward && /% *,|%$/.test(await said()), 'another pass shows the same operations');
    await all_drawn(page, await page.evaluate(() => document.querySelectorAll('main .chart').length), 'timeline');
  },

  async a_step_of_thousands_of_micro_batches_stays_small() {
    const file = page_of('long.html', 'train', ...small, '--parallel', 'pp=4,ep=2', '--set', '/workload/global_batch=8192');
    holds(statSync(file).size < 3e6, `the page has ${statSync(file).size} bytes, expected less than 3 MB`);
    const page = await opened(file, { width: 390 });
    holds(/Of [\d,]+ passes the beginning and the end are drawn/.test(await text_of(page, '#timeline .lead')), `it says ${await text_of(page, '#timeline .lead')}`);
    holds(await page.locator('#timeline .chart').count() === 3, 'no beginning, end and pass');
  },

  async speculation_is_drawn_by_batch_and_by_length() {
    const page = await opened(page_of('guesses.html', 'serve', '--model', 'qwen3-30b-a3b', '--hardware', 'h200-sxm', '--devices', '1', '--set', '/workload/concurrency=4',
      '--set', '/speculation={"kind": "sd", "draft": "qwen3-0.6b", "draft_tokens": 3, "acceptance": 0.7}'));
    holds(await page.locator('#speculation .chart').count() === 2, 'no section on speculation');
    await all_drawn(page, await page.evaluate(() => document.querySelectorAll('main .chart').length), 'speculation');
    holds(/drafts 3 for [\d.]+ sequences at once: [\d.]+ ×/.test(await text_of(page, '#speculation .lead')), `it says ${await text_of(page, '#speculation .lead')}`);
  },

  async every_kind_of_answer_is_drawn() {
    const one = write('one.json', answered('train', ...small, '-o', 'json')), two = write('two.json', answered('train', ...small, '--parallel', 'ep=4', '-o', 'json'));
    const csv = 'gpu,framework,fw_version,kernel,dtype,m,n,k,latency_us\n' + [1, 2, 4, 8, 16, 32, 64, 128].map(i => `h200-sxm,trtllm,1,gemm,bfloat16,${256 * i},4096,4096,${20 * i}`).join('\n') + '\n';
    const steps = 'release,phase,model,system,gpus,precision,gbs,mbs,seq_len,fsdp,tp,pp,cp,vp,ep,routing,tokens_per_s_per_gpu,model_tflops_per_gpu,step_time_s_derived,alt_values_in_parentheses,note,source\n' +
      [[256, 7.5], [512, 14]].map(([batch, time]) => `26.06,Pre-Training,LLAMA3_70B,DGX-GB200,64,FP8,${batch},1,8192,0,2,4,1,5,n/a,,4500,2000,${time},,,x`).join('\n') + '\n';
    const pages = {
      layer: [page_of('layer.html', 'layer', ...small), 4], wafer: [page_of('wafer.html', 'train', join(root, 'examples/qwen3-235b-16-cs-3.json')), 5],
      infeasible: [page_of('infeasible.html', 'train', '--model', 'deepseek-v3', '--hardware', 'h200-sxm', '--devices', '8'), 1],
      explain: [page_of('explain.html', 'explain', ...small), 6], compare: [page_of('compare.html', 'compare', ...small, '--set', '/parallelism/ep=4'), 1],
      solve: [page_of('solve.html', 'solve', ...small, '--vary', '/hardware/device/hbm_bandwidth', '--want', "mfu=0.3"), 1],
      search: [page_of('search.html', 'search', ...small, '--top', '20', '--quiet'), 3], route: [page_of('route.html', 'route', '--routing', 'power-law:1.2', '--experts', '64', '--ranks', '8', '--redundant', '8'), null],
      serve: [page_of('serve.html', 'serve', ...small), 4], token: [page_of('token.html', 'explain', ...small, '--concurrency', '8'), 6],
      deployments: [page_of('deployments.html', 'compare', ...small, '--concurrency', '8', '--set', '/workload/stack=sglang'), 2],
      rounds: [page_of('rounds.html', 'search', join(root, 'examples/qwen3-32b-ssd-h100.json'), '--top', '100'), null],
      users: [page_of('users.html', 'solve', ...small, '--vary', '/workload/concurrency', '--want', 'tpot=10 ms', '--concurrency', '8'), 1], load: [page_of('load.html', 'load', ...small), null],
      check: [page_of('check.html', 'check', write('gemm.csv', csv)), null], steps: [page_of('steps.html', 'check', write('steps.csv', steps)), 2], report: [page_of('report.html', 'report', one, two), null],
    };
    for (const [kind, [file, count]] of Object.entries(pages)) {
      const page = await opened_quickly(file, kind);
      const found = await page.evaluate(() => document.querySelectorAll('.chart').length);
      await all_drawn(page, count ?? found, kind);
      holds(found > 0 || kind === 'check', `${kind}: no chart`);
      holds((await text_of(page, 'h1')).length > 8, `${kind}: no heading`);
      if (kind === 'steps') holds(/^Predictions err by [\d.]+ % on 2 rows of one family/.test(await text_of(page, 'h1')), `it says ${await text_of(page, 'h1')}`);
      if (kind === 'infeasible') holds(/no two changes make it fit|fits with/.test(await text_of(page, '.notes')), `it is told ${await text_of(page, '.notes')}, as the program does not`);
      await page.context().close();
    }
  },

  async a_phone_reads_it_without_scrolling_sideways() {
    const file = page_of('phone.html', 'train', ...small);
    for (const scheme of ['light', 'dark']) {
      const page = await opened(file, { width: 390, scheme });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      holds(wide <= 390, `${scheme}: ${wide} pixels wide on a phone of 390`);
      // WCAG AA: text of every colour on the paper, and on every colour that a chart fills the better of ink and paper.
      const contrast = await page.evaluate(() => {
        const rgb = name => { const box = document.createElement('i'); box.style.color = `var(--${name})`; document.body.append(box); const c = getComputedStyle(box).color.match(/\d+/g).slice(0, 3).map(Number); box.remove(); return c; };
        const light = c => c.map(v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const ratio = (a, b) => (Math.max(light(rgb(a)), light(rgb(b))) + 0.05) / (Math.min(light(rgb(a)), light(rgb(b))) + 0.05);
        return Object.fromEntries([...['ink', 'soft', 'better', 'worse', 'accent'].flatMap(name => ['paper', 'raised'].map(under => [`${name} on ${under}`, ratio(name, under)])),
          ...['forward', 'backward', 'optimizer', 'waiting', 'network', 'middle', 'better', 'worse', 'most', 'faint'].map(fill => [`text on ${fill}`, Math.max(ratio('ink', fill), ratio('paper', fill))])]);
      });
      for (const [name, ratio] of Object.entries(contrast)) holds(ratio >= 4.5, `${scheme}: contrast of ${name} is ${ratio.toFixed(2)}`);
      await page.context().close();
    }
  },

  async paper_keeps_heads_and_light_colours() {
    const page = await opened(page_of('paper.html', 'train', ...small), { scheme: 'dark' });
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    await all_drawn(page, await page.evaluate(() => document.querySelectorAll('main .chart').length), 'on paper');
    holds(await page.locator('#helps th button').first().isVisible(), 'a table has lost its heads');
    holds(!await page.locator('.toolbar').first().isVisible(), 'a toolbar is printed');
    const [paper, bars] = await page.evaluate(() => [getComputedStyle(document.body).backgroundColor, [...document.querySelectorAll('#time svg path')].map(p => p.getAttribute('fill'))]);
    holds(paper === 'rgb(255, 255, 255)' && bars.includes('#5b9bd8'), `paper is ${paper}, and no bar has the colour of daylight`);
  },

  async the_keyboard_reaches_everything() {
    const page = await opened(page_of('keys.html', 'train', ...small));
    await page.keyboard.press('Tab');
    holds(await page.evaluate(() => document.activeElement.className) === 'skip', 'the first stop is not the skip link');
    await page.keyboard.press('Enter');
    holds(await page.evaluate(() => location.hash) === '#answer-text', 'the skip link leads nowhere');
    const stops = new Set();
    for (let i = 0; i < 80; ++i) {
      await page.keyboard.press('Tab');
      stops.add(await page.evaluate(() => document.activeElement.tagName));
    }
    for (const tag of ['SUMMARY', 'BUTTON']) holds(stops.has(tag), `Tab never stops at a ${tag.toLowerCase()}`);
    await page.locator('#ops summary').first().focus();
    await page.keyboard.press('Enter');
    holds(await page.locator('#ops details').first().evaluate(d => d.open), 'Enter does not open an op');
    await page.locator('#helps th button').nth(1).focus();
    await page.keyboard.press('Enter');
    holds(await page.locator('#helps th').nth(1).getAttribute('aria-sort') === 'descending', 'Enter does not sort a column');
  },

  async a_sweep_sorts_filters_and_downloads() {
    const sweep = write('sweep.json', { scenario: { model: 'qwen3-30b-a3b', hardware: 'h200-sxm', devices: 16 }, vary: { '/parallelism/ep': [1, 2, 4, 8, 16], '/workload/micro_batch': [1, 2, 4] } });
    const page = await opened(page_of('sweep.html', 'sweep', sweep, '--quiet'));
    await all_drawn(page, 2, 'sweep');
    await page.locator('#rows input').fill('ep = 8');
    await page.waitForTimeout(300);
    holds(/^3 of 15/.test(await text_of(page, '#rows [role=status]')), `ep = 8 keeps ${await text_of(page, '#rows [role=status]')}`);
    const [file] = await Promise.all([page.waitForEvent('download'), page.locator('#rows button', { hasText: 'Download' }).click()]);
    const lines = readFileSync(await file.path(), 'utf8').trim().split('\n');
    holds(lines.length === 4 && lines[0].startsWith('/parallelism/ep,/workload/micro_batch,'), `the CSV has ${lines.length} lines and begins ${lines[0].slice(0, 60)}`);
    const same = answered('sweep', sweep, '--quiet').trim().split('\n').filter(line => line.startsWith('8,'));
    holds(lines.slice(1).every(line => same.some(row => row.split(',').map(Number).slice(0, 4).join() === line.split(',').map(Number).slice(0, 4).join())), 'the CSV differs from that of the sweep');
  },

  async a_hundred_thousand_rows_stay_quick() {
    let rows = '/parallelism/ep,/workload/micro_batch,/devices,step_time_seconds,step_time_p10_seconds,step_time_p90_seconds,tokens_per_second,tokens_per_second_per_device,model_tflops_per_device,mfu,memory_required_bytes,memory_available_bytes,feasible,reason\n';
    for (let i = 0; i < 100000; ++i) {
      const t = 10 + Math.sin(i) * 3 + i * 1e-6;
      rows += `${2 ** (i % 7)},${1 + i % 13},${8 * (1 + i % 101)},${t.toPrecision(9)},${(t * 0.9).toPrecision(9)},${(t * 1.1).toPrecision(9)},${(1e6 / t).toPrecision(9)},${(1e3 / t).toPrecision(9)},${(4e3 / t).toPrecision(9)},${(1 / t).toPrecision(9)},${(1e11 + i * 1e5).toPrecision(9)},186000000000,true,\n`;
    }
    const file = page_of('many.html', 'report', write('many.csv', rows));
    holds(statSync(file).size < 25e6, `100,000 rows take ${statSync(file).size} bytes, expected less than 25 MB`);
    const page = await opened(file);
    for (const text of ['mfu > 0.1', 'ep = 16, mfu > 0.09', 'devices < 100']) {
      const took = [];
      for (let i = 0; i < 5; ++i) {
        for (const typed of ['16', text]) {
          await page.locator('#rows input').evaluate(input => { delete input.dataset.took; });
          await page.locator('#rows input').fill(typed);
          await page.waitForSelector('#rows input[data-took]');
        }
        took.push(Number(await page.locator('#rows input').getAttribute('data-took')));
      }
      holds(took.sort((a, b) => a - b)[2] < 300, `filter "${text}" took ${took.join(', ')} ms until it was seen, expected less than 300`);
    }
    holds(await page.locator('#rows tbody tr').count() < 120, 'rows out of view are elements');
  },

  async hostile_names_stay_text() {
    const name = '</script><script>window.caught=1</script><img src=x onerror="window.caught=2">"\'\u202e\u05d0\u05d1\u05d2' + 'n'.repeat(10000);
    const answer = JSON.parse(answered('train', ...small, '-o', 'json'));
    answer.assumptions.push(name);
    answer.warnings.push({ code: 'x', message: name, advice: name });
    answer.breakdown[0].name = name;
    answer.scenario.model = { name };
    const rows = `/model,mfu,feasible,reason\n${JSON.stringify(name).replaceAll('\\"', '""')},0.3,true,\nother,0.2,true,\n`;
    const command = ['report', write('hostile.json', answer), write('hostile.csv', rows)];
    for (const width of [1400, 390]) {
      const page = await opened(page_of('hostile.html', ...command), { width });
      await page.locator('[role=tab]').nth(1).click();
      await page.locator('[role=tab]').nth(0).click();
      holds(await page.evaluate(() => window.caught) === undefined, 'a name ran as a script');
      holds(await page.locator('img').count() === 0, 'a name became an element');
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      holds(wide <= width, `${wide} pixels wide in a window of ${width}`);
    }
    const evil = { model: { base: 'qwen3-30b-a3b' }, hardware: 'h200-sxm', devices: 8, description: name };
    const page = await opened(page_of('evil.html', 'train', write('evil.json', evil)));
    holds(await page.evaluate(() => window.caught) === undefined, 'a description ran as a script');
  },

  // Where the browser build is left out, answers that the binary has given stand in for it.
  async sliders_move_the_page_whatever_answers() {
    const carried = file => JSON.parse(readFileSync(file, 'utf8').match(/<script id="answer"[^>]*>([^]*?)<\/script>/)[1]).answers[0];
    const file = page_of('stands.html', 'train', ...small), answers = {
      '{"/workload/micro_batch":2}': carried(page_of('two.html', 'train', ...small, '--set', '/workload/micro_batch=2')),
      '{"/devices":1}': carried(page_of('one.html', 'train', ...small, '--set', '/devices=1')) };
    const stand_in = `<script id="model" type="application/gzip-base64">${gzipSync('stand-in').toString('base64')}</script>
      <script>window.asked = [];
      window.what_if_model = async () => ({ FS: {}, ccall: (name, type, types, [question]) => {
        if (name === 'known') return '{"hardware":["h200-sxm","b200-sxm"],"recipes":["bf16","fp8_block"]}';
        asked.push(question);
        return JSON.stringify(${JSON.stringify(answers).replaceAll('<', '\\u003c')}[JSON.stringify(JSON.parse(question).set)] ?? { error: 'not foreseen: ' + question });
      } });</script>`;
    const html = readFileSync(file, 'utf8'), at = html.lastIndexOf('<script>');
    writeFileSync(file, html.slice(0, at) + stand_in + html.slice(at));
    const page = await opened(file);
    await page.waitForSelector('.controls[data-ready]');
    const before = await page.locator('h1').innerText();
    await page.locator('#control-micro_batch').focus();
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction(old => document.querySelector('h1').innerText !== old, before);
    const asked = JSON.parse((await page.evaluate(() => window.asked))[0]);
    holds(JSON.stringify(asked.set) === '{"/workload/micro_batch":2}' && asked.scenario.workload.kind === 'train', `a slider asks ${JSON.stringify(asked)}`);
    const two = answers['{"/workload/micro_batch":2}'].step_time_seconds.value;
    holds(Number(await page.locator('.controls').getAttribute('data-result')) === two, `the page says ${await page.locator('.controls').getAttribute('data-result')} s, the binary ${two} s`);
    holds(/against the question as asked/.test(await text_of(page, '.controls .now')), `after a slider: ${await text_of(page, '.controls .now')}`);
    await all_drawn(page, await page.evaluate(() => document.querySelectorAll('main .chart').length), 'after a slider');
    await page.locator('.controls button').click();
    await page.waitForFunction(old => document.querySelector('h1').innerText === old, before);
    await page.locator('#control-devices').focus();
    await page.keyboard.press('Home');
    await page.waitForFunction(() => /Cannot run/.test(document.querySelector('.controls .now').innerText));
    holds(/^Out of memory/.test(await text_of(page, 'h1')), `of one device it says ${await text_of(page, 'h1')}`);
  },

  async sliders_ask_the_model_anew() {
    const file = page_of('sliders.html', 'train', ...small), page = await opened(file);
    if (!await page.evaluate(() => !!document.getElementById('model'))) return 'this build has no model for browsers';
    await page.waitForSelector('.controls [data-ready], .controls[data-ready]', { timeout: 30000 });
    const before = await page.locator('h1').innerText();
    const slider = page.locator('#control-micro_batch');
    await slider.focus();
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction(old => document.querySelector('h1').innerText !== old, before, { timeout: 20000 });
    const native = JSON.parse(answered('train', ...small, '--set', '/workload/micro_batch=2', '-o', 'json'));
    const asked = Number(await page.locator('.controls').getAttribute('data-result'));
    holds(Math.abs(asked / native.step_time_seconds.value - 1) < 1e-9, `the page says ${asked} s, the binary ${native.step_time_seconds.value} s`);
    await all_drawn(page, await page.evaluate(() => document.querySelectorAll('main .chart').length), 'after a slider');
    await page.locator('.controls button').click();
    await page.waitForFunction(old => document.querySelector('h1').innerText === old, before, { timeout: 20000 });
  },

  async browser_and_binary_agree_to_the_last_digit() {
    const page = await opened(page_of('agree.html', 'train', ...small));
    if (!await page.evaluate(() => !!document.getElementById('model'))) return 'this build has no model for browsers';
    const questions = [
      [JSON.parse(readFileSync(join(root, 'examples/deepseek-v3-256-gb200.json'), 'utf8')), {}],
      [{ model: 'qwen3-30b-a3b', hardware: 'h200-sxm', devices: 16 }, { '/parallelism/ep': 8, '/hardware/device/hbm_bandwidth': '6 TB/s' }],
      [JSON.parse(readFileSync(join(root, 'examples/qwen3-235b-256-h100.json'), 'utf8')), { '/routing': { popularity: 'power_law', alpha: 1.2 } }],
      [{ model: 'mixtral-8x7b', hardware: 'b200-sxm', devices: 64 }, { '/hardware/fabric/1/bandwidth': '200 GB/s' }],
      [{ model: 'qwen3-235b-a22b', hardware: 'cs-3', devices: 16 }, {}],
      [{ model: 'deepseek-v3', hardware: 'h200-sxm', devices: 8 }, {}],
      [{ model: 'olmoe-1b-7b', hardware: 'mi300x', devices: 8, workload: { kind: 'layer', tokens: 4096 } }, {}],
    ];
    const digits = value => typeof value === 'number' ? Number(value.toPrecision(9)) : Array.isArray(value) ? value.map(digits) : value && typeof value === 'object' ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([k, v]) => [k, digits(v)])) : value;
    const theirs = await page.evaluate(async list => {
      const packed = Uint8Array.from(atob(document.getElementById('model').textContent), c => c.charCodeAt(0));
      const bytes = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
      const model = await what_if_model({ wasmBinary: new Uint8Array(bytes) });
      return list.map(([scenario, set]) => JSON.parse(model.ccall('answer', 'string', ['string'], [JSON.stringify({ scenario, set })])));
    }, questions);
    questions.forEach(([scenario, set], i) => {
      const kind = scenario.workload?.kind ?? 'train';
      const flags = Object.entries(set).flatMap(([pointer, value]) => ['--set', `${pointer}=${typeof value === 'string' ? value : JSON.stringify(value)}`]);
      const ours = JSON.parse(ask(kind, write(`question${i}.json`, scenario), ...flags, '-o', 'json').stdout);
      const { page: more, ...answer } = theirs[i];
      if (answer.feasible === false) for (const key of ['kind', 'scenario', 'advice']) { delete answer[key]; delete ours[key]; }  // the program looks further for advice
      const [a, b] = [JSON.stringify(digits(ours)), JSON.stringify(digits(answer))];
      let at = 0;
      while (at < a.length && a[at] === b[at]) ++at;
      holds(a === b, `question ${i}: binary …${a.slice(Math.max(0, at - 60), at + 40)}, browser …${b.slice(Math.max(0, at - 60), at + 40)}`);
    });
  },
};

let code = 0, passed = 0, skipped = 0;
for (const name of wanted.length ? wanted : Object.keys(cases)) {
  problems.length = 0;
  const reason = await cases[name]().catch(error => { problems.push(error.stack?.split('\n').slice(0, 4).join('\n') ?? String(error)); });
  if (reason) { console.log(`skipped  ${name}: ${reason}`); ++skipped; continue; }
  console.log(`${problems.length ? 'not ok ' : 'ok     '}  ${name}`);
  for (const problem of problems) console.log(`    ${problem}`);
  if (problems.length) code = 1; else ++passed;
}
await browser?.close();
rmSync(scratch, { recursive: true, force: true });
process.exit(code || (skipped && !passed ? 77 : 0));

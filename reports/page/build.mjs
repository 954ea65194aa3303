// Bundles the page: node build.mjs NPM_FOLDER page.html page_file.cpp [what_if.js what_if.wasm]
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { fileURLToPath } from 'node:url';

const [npm, html, cpp, glue, wasm] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const { buildSync } = createRequire(join(npm, 'package.json'))('esbuild');

const bundled = entry =>
  buildSync({
    entryPoints: [join(here, entry)], bundle: true, minify: true, write: false, format: 'iife', target: 'es2022',
    nodePaths: [join(npm, 'node_modules')], legalComments: 'none', logLevel: 'error',
  }).outputFiles[0].text;

// Nothing of ours may close the element it lies in.
const script = text => text.replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--');
const put = (text, marker, content) => {
  if (!text.includes(marker)) throw new Error(`index.html lacks ${marker}`);
  return text.replace(marker, () => content);
};

let page = readFileSync(join(here, 'index.html'), 'utf8');
page = put(page, '/* style */', bundled('style.css'));
page = put(page, '/* app */', script(bundled('app.js')));
const model = glue && readFileSync(wasm).length > 0
  ? `<script id="model" type="application/gzip-base64">${gzipSync(readFileSync(wasm), { level: 9 }).toString('base64')}</script>\n` +
    `<script>${script(readFileSync(glue, 'utf8'))}</script>`
  : '';
page = put(page, '<!-- model -->', model);
writeFileSync(html, page);

// Compilers limit string literals, so the page is several that follow one another.
const pieces = page.match(/[^]{1,30000}/gu).map(piece => `R"moeline(${piece})moeline"`);
writeFileSync(cpp, `#include "reports/page.hpp"\n\nnamespace moeline {\nnamespace {\nconstexpr char kPage[] =\n${pieces.join('\n')};\n}  // namespace\n\n` +
  'std::string_view page_template() { return {kPage, sizeof kPage - 1}; }\n\n}  // namespace moeline\n');

// Elements from values. Strings become text nodes, so that no name in an answer is ever read as markup.
export function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.flat(3).filter(child => child !== undefined && child !== null && child !== false));
  return element;
}

// A name somebody chose: direction follows its own letters, and no length breaks the layout.
export const named = (text, tag = 'bdi', most = 160) => h(tag, { class: 'named' }, shortened(text, most));

export function shortened(text, most = 160) {
  const letters = [...String(text)];
  return letters.length <= most ? String(text) : letters.slice(0, most - 1).join('') + '…';
}

// A drawer whose content is made when it is first opened.
export function drawer(summary, make) {
  const box = h('details', { ontoggle: () => { if (box.open && box.children.length === 1) box.append(...[make()].flat()); } }, h('summary', {}, summary));
  return box;
}

// Offers a file for download, as if the page had a server.
export function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

export function copy_button(text, what) {
  const button = h('button', { type: 'button', class: 'quiet', onclick: async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren(button.parentElement.querySelector('pre'));
      button.textContent = 'Selected';
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  }, 'aria-label': `Copy ${what}` }, 'Copy');
  return button;
}

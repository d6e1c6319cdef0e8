// Returns each text of the page that stands out too little from what lies behind it, as [text, contrast].
(least) => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const parsed = new Map();
  const rgba = (colour) => {
    if (!parsed.has(colour)) {
      pen.clearRect(0, 0, 1, 1);
      pen.fillStyle = colour;
      pen.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
      parsed.set(colour, [r, g, b, a / 255]);
    }
    return parsed.get(colour);
  };
  const over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a)];
  const luminance = (colour) => {
    const [r, g, b] = colour.map((each) => {
      const share = each / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const ground = (element) => {
    if (!element) return dark ? [18, 18, 18] : [255, 255, 255];
    const colour = rgba(getComputedStyle(element).backgroundColor);
    if (colour[3] === 1) return colour.slice(0, 3);
    return over(colour, ground(element.parentElement));
  };
  const opacity = (element) => element ? getComputedStyle(element).opacity * opacity(element.parentElement) : 1;
  const contrast = (element, colour) => {
    const behind = ground(element);
    const [r, g, b, a] = rgba(colour);
    const [one, other] = [luminance(over([r, g, b, a * opacity(element)], behind)), luminance(behind)];
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  };
  const found = [];
  const look = (text, element, colour) => {
    const is = Math.round(100 * contrast(element, colour)) / 100;
    if (is < least) found.push([text.trim().slice(0, 60), is]);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
    look(node.data, element, getComputedStyle(element).color);
  }
  for (const input of document.querySelectorAll("input[placeholder]"))
    if (input.checkVisibility()) look(input.placeholder, input, getComputedStyle(input, "::placeholder").color);
  return found;
}

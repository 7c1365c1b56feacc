/* Numbers as people read them. */

const COUNT = new Intl.NumberFormat("en");
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (value) => COUNT.format(Math.round(value));

export const compact = (value) => COMPACT.format(value);

export function bytes(value, digits = 1) {
  let unit = 0;
  for (; value >= 999.5 && unit < 4; unit++) value /= 1000;
  return `${value.toFixed(unit ? digits : 0)} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
}

export const seconds = (value) => `${value.toFixed(1)} s`;

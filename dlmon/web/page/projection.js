// The Equal Earth projection (Savric, Patterson and Jenny, 2018), as in scripts/make_world.py.

const [A1, A2, A3, A4] = [1.340264, -0.081106, 0.000893, 0.003796];
const M = Math.sqrt(3) / 2;
const WIDTH = 1000;
const SCALE = WIDTH / 2 / (Math.PI / (M * A1));
const BASE32 = "0123456789bcdefghjkmnpqrstuvwxyz";

/** A place in degrees on the map. @param {number} longitude @param {number} latitude @returns {[number, number]} */
export function project(longitude, latitude) {
  const t = Math.asin(M * Math.sin((latitude * Math.PI) / 180));
  const t2 = t * t;
  const t6 = t2 * t2 * t2;
  const stretch = A1 + 3 * A2 * t2 + t6 * (7 * A3 + 9 * A4 * t2);
  const x = ((longitude * Math.PI) / 180) * (Math.cos(t) / (M * stretch));
  const y = t * (A1 + A2 * t2 + t6 * (A3 + A4 * t2));
  return [WIDTH / 2 + SCALE * x, 250 - SCALE * y];
}

/** The centre of a geohash in degrees: longitude, latitude. @param {string} cell @returns {[number, number]} */
export function centre(cell) {
  const edges = [
    [-180, 180],
    [-90, 90],
  ];
  let axis = 0;
  for (const character of cell) {
    const value = BASE32.indexOf(character);
    for (let bit = 4; bit >= 0; bit--) {
      const edge = edges[axis];
      edge[(value >> bit) & 1 ? 0 : 1] = (edge[0] + edge[1]) / 2;
      axis = 1 - axis;
    }
  }
  return [(edges[0][0] + edges[0][1]) / 2, (edges[1][0] + edges[1][1]) / 2];
}

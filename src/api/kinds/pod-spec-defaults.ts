/** The defaults of pods are in the machinery: agents fill them into what they run without the API. */
export { canonicalizeQuantities, setPodOnlyDefaults, setPodSpecDefaults } from '../../machinery/pod-defaults.ts';

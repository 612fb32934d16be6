// msgpackr goes on in JavaScript when this cannot be loaded.
throw new Error('the native part of msgpackr is not used here');

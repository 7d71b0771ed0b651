// gearmanode, told to keep its log to itself: what a program prints is for the test.
"use strict";

require("winston").loggers.options = { silent: true };

module.exports = require("gearmanode");

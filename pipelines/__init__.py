"""Data preparation: conversion, rendering, data sets and input pipelines."""

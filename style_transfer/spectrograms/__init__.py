"""What models of log-mel spectrograms share: making long ones, hearing them, files, serving.

Such a model has `encode_style(style_audio)` and `spectrogram(content, style, noise, temperature)`,
where content is `[batch, frames, features]`: audio, the samples of a frame side by side, if it
`hears`, and else a piano roll at the frame rate. `grain` and `reach` say what numbers of frames it
takes and how far a frame depends on others.
"""

from .audio import Audio as Audio
from .models.piano_ddsp.one_shot import estimate_piano as estimate_piano
from .models.piano_ddsp.one_shot import load as load
from .models.piano_ddsp.one_shot import transfer as transfer
from .models.piano_ddsp.piano import Piano as Piano
from .transcription.transcriber import transcribe as transcribe

__version__: str
